"""TensorFlow's variable updates and optimizer kernels: new values from old ones.

A recorder puts a variable's value where the kernel has its handle; the outputs are the new values, in order.
Source: tensorflow/core/kernels/training_ops.cc.
"""

from typing import Any

from oracle.reference.lazy import jnp
from oracle.reference.lowerings.tensorflow import op


@op("AssignAddVariableOp")
def assign_add(variable: Any, value: Any, dtype: str) -> Any:
    return variable + value


@op("AssignSubVariableOp")
def assign_sub(variable: Any, value: Any, dtype: str) -> Any:
    return variable - value


@op("ResourceScatterAdd")
def scatter_add(variable: Any, indices: Any, updates: Any, dtype: str) -> Any:
    return variable.at[indices].add(updates)


@op("ResourceScatterSub")
def scatter_sub(variable: Any, indices: Any, updates: Any, dtype: str) -> Any:
    return variable.at[indices].add(-updates)


@op("ResourceScatterUpdate")
def scatter_update(variable: Any, indices: Any, updates: Any, dtype: str) -> Any:
    return variable.at[indices].set(updates)


@op("ResourceApplyGradientDescent")
def gradient_descent(variable: Any, rate: Any, gradient: Any) -> Any:
    return variable - rate * gradient


@op("ResourceApplyMomentum")
def momentum(variable: Any, velocity: Any, rate: Any, gradient: Any, decay: Any, use_nesterov: bool) -> Any:
    velocity = velocity * decay + gradient
    step = gradient * rate + velocity * decay * rate if use_nesterov else velocity * rate
    return variable - step, velocity


@op("ResourceApplyKerasMomentum")
def keras_momentum(variable: Any, velocity: Any, rate: Any, gradient: Any, decay: Any, use_nesterov: bool) -> Any:
    velocity = velocity * decay - gradient * rate
    return variable + (velocity * decay - gradient * rate if use_nesterov else velocity), velocity


@op("ResourceApplyAdam")
def adam(
    variable: Any, m: Any, v: Any, power1: Any, power2: Any, rate: Any, beta1: Any, beta2: Any, epsilon: Any,
    gradient: Any, *, use_nesterov: bool,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Kingma & Ba 2015 with the bias corrections folded into the rate (their "epsilon hat")."""
    rate = rate * jnp.sqrt(1 - power2) / (1 - power1)
    m = m + (gradient - m) * (1 - beta1)
    v = v + (jnp.square(gradient) - v) * (1 - beta2)
    direction = m * beta1 + (1 - beta1) * gradient if use_nesterov else m
    return variable - rate * direction / (jnp.sqrt(v) + epsilon), m, v


@op("ResourceApplyAdaMax")
def adamax(
    variable: Any, m: Any, v: Any, power1: Any, rate: Any, beta1: Any, beta2: Any, epsilon: Any, gradient: Any
) -> tuple[Any, Any, Any]:
    m = m + (gradient - m) * (1 - beta1)
    v = jnp.maximum(beta2 * v, jnp.abs(gradient))
    return variable - rate / (1 - power1) * (m / (v + epsilon)), m, v


@op("ResourceApplyRMSProp")
def rmsprop(
    variable: Any,
    mean_square: Any,
    velocity: Any,
    rate: Any,
    rho: Any,
    decay: Any,
    epsilon: Any,
    gradient: Any,
) -> tuple[Any, Any, Any]:
    mean_square = mean_square + (jnp.square(gradient) - mean_square) * (1 - rho)
    velocity = velocity * decay + rate * gradient / jnp.sqrt(mean_square + epsilon)
    return variable - velocity, mean_square, velocity


@op("ResourceApplyCenteredRMSProp")
def centered_rmsprop(
    variable: Any, mean: Any, mean_square: Any, velocity: Any, rate: Any, rho: Any, decay: Any, epsilon: Any,
    gradient: Any,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    mean_square = mean_square + (jnp.square(gradient) - mean_square) * (1 - rho)
    mean = mean + (gradient - mean) * (1 - rho)
    denominator = mean_square - jnp.square(mean) + epsilon
    velocity = velocity * decay + rate * gradient / jnp.sqrt(denominator)
    return variable - velocity, mean, mean_square, velocity


@op("ResourceApplyAdagradV2")
def adagrad(
    variable: Any, total: Any, rate: Any, epsilon: Any, gradient: Any, *, update_slots: bool
) -> tuple[Any, Any]:
    total = total + jnp.square(gradient) if update_slots else total
    return variable - rate * gradient / (jnp.sqrt(total) + epsilon), total

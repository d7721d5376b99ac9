"""Mistakes in normalisation and modes: eps, running statistics, training left on, dropout."""

from zoo_compare import carry, functional
from zoo_registry import Mistake, mistake, modules
from zoo_small import conv_net, dense_net, training


@mistake("eps")
def batch_norm_eps() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.BatchNorm2d(4), layers.BatchNormalization())


@mistake("eps", "variance-ddof")
def batch_norm_eps_training() -> Mistake:
    nn, layers, _ = modules()
    return training(conv_net(nn.BatchNorm2d(4, momentum=0.01), layers.BatchNormalization()))


@mistake("eps")
def layer_norm_eps() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.LayerNorm(8), layers.LayerNormalization())


@mistake("eps")
def group_norm_eps() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.GroupNorm(2, 4), layers.GroupNormalization(2))


@mistake("eps")
def rms_norm_eps() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.RMSNorm(8, eps=1e-5), layers.RMSNormalization(epsilon=1e-3))


@mistake("momentum-convention", "variance-ddof")
def batch_norm_momentum() -> Mistake:
    nn, layers, _ = modules()
    return training(conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization()))


@mistake("momentum-convention", "variance-ddof")
def batch_norm_momentum_copied() -> Mistake:
    nn, layers, _ = modules()
    return training(conv_net(nn.BatchNorm2d(4, eps=1e-3, momentum=0.99), layers.BatchNormalization()))


@mistake("variance-ddof")
def running_variance() -> Mistake:
    nn, layers, _ = modules()
    return training(conv_net(nn.BatchNorm2d(4, eps=1e-3, momentum=0.01), layers.BatchNormalization()))


@mistake("train-eval-mode")
def torch_left_in_training() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization(), train=True)


@mistake("train-eval-mode")
def keras_left_in_training() -> Mistake:
    nn, layers, _ = modules()
    m = conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization())
    norm = layers.BatchNormalization()
    first, last = layers.Conv2D(4, 3, padding="same"), layers.Conv2D(2, 1)
    m.b = functional(m.x_b, lambda x: last(norm(first(x), training=True)))
    carry([(m.a[0], first), (m.a[1], norm), (m.a[2], last)])
    return m


@mistake("dropout-active")
def dropout_left_on() -> Mistake:
    nn, layers, _ = modules()
    m = dense_net(nn.Dropout(0.5), layers.Dropout(0.5))
    m.a.train()
    return m


@mistake("normalization-axes")
def layer_norm_over_more_axes() -> Mistake:
    nn, layers, _ = modules()
    return dense_net(nn.LayerNorm((5, 8), eps=1e-3, elementwise_affine=False),
                      layers.LayerNormalization(center=False, scale=False))  # fmt: skip


@mistake("weights-not-loaded")
def statistics_not_loaded() -> Mistake:
    nn, layers, _ = modules()
    m = conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization())
    gamma, beta, mean, variance = m.b.layers[2].get_weights()
    m.b.layers[2].set_weights([gamma, beta, 0 * mean, 0 * variance + 1])
    return m

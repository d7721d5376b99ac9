"""What the lowerings of TensorFlow's raw operations share.

TensorFlow passes shapes, axes and paddings as integer tensors. A lowering needs them while it is traced, so
it declares their positions `static`, and the recorder writes those inputs as literals.
"""

import functools

import numpy as np

from oracle.reference.lowerings import lowers

# Attributes that name types, counts and kernel choices: the inputs say the same, or they change no result.
_IGNORED = """
    T T1 T2 Ta Tb Tx Tperm Tidx Tshape Tdim Tdims Tmultiples Tpaddings Tindices Tparams Taxis Tlen
    Tlabels Tseed Tin TI U V Index index_type SrcT Truncate N Tsplits Tnumsegments Tdata Tblock_shape
    Tcrops Tpadding Tshift Tsize use_cudnn_on_gpu grad_a grad_b grad_x grad_y use_locking validate_shape
    validate_indices incompatible_shape_error message bad_indices_policy Tk Tindex
"""

op = functools.partial(lowers, "tensorflow", ignores=_IGNORED.split())


def carrier(dtype: str) -> np.dtype:
    """The NumPy type that carries TensorFlow's type `dtype` in a lowering: float64 for every real format."""
    return np.dtype(np.float64 if "float" in dtype else dtype)

//! The buffer protocol: the only place of this room with unsafe code.
#![allow(unsafe_code)]

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;

/// Whether who asks for a view may write into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewAccess {
    ReadOnly,
    Writable,
}

/// Answers a request for a view: `length` bytes at `start`, with a new reference to `owner`.
///
/// # Safety
///
/// `view` is what Python has passed to `__getbuffer__`. The bytes are valid, at this address, for as long as
/// `owner` lives; for a writable view they are also not read or written through a Rust reference by then.
pub(crate) unsafe fn answer(
    view: *mut ffi::Py_buffer,
    flags: c_int,
    owner: Bound<'_, PyAny>,
    start: *const u8,
    length: usize,
    access: ViewAccess,
) -> PyResult<()> {
    let py = owner.py();
    // The length of a Rust slice or of a mapping fits into an `isize`.
    let length = length as ffi::Py_ssize_t;
    let read_only = c_int::from(access == ViewAccess::ReadOnly);
    // SAFETY: `view` is writable memory for one `Py_buffer` (the caller's promise); the function fills it,
    // stores a new reference to `owner`, and refuses a writable request of read-only bytes.
    let answered = unsafe {
        ffi::PyBuffer_FillInfo(
            view,
            owner.as_ptr(),
            start.cast_mut().cast(),
            length,
            read_only,
            flags,
        )
    };
    match answered {
        0 => Ok(()),
        _ => Err(PyErr::fetch(py)),
    }
}

/// The bytes of an exported buffer that is contiguous in C order.
///
/// Other threads of the interpreter may write into them while they are read without the GIL, as they may
/// during `hashlib.update` or `socket.send`: then what is sent is a mixture of both contents. The program that
/// does so has the remedy.
pub(crate) fn bytes_of(buffer: &pyo3::buffer::PyUntypedBuffer) -> &[u8] {
    debug_assert!(buffer.is_c_contiguous());
    let length = buffer.len_bytes();
    if length == 0 {
        return &[];
    }
    // SAFETY: a C-contiguous export has `len_bytes` readable bytes at `buf_ptr`, which its exporter neither
    // moves nor frees before the release, and `buffer` is not released while it is borrowed.
    unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), length) }
}

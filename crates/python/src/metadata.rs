//! Metadata: from Python's dicts and back.

use dataflow_node::{METADATA_DEPTH_MAX, Metadata, MetadataError, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple,
};

use crate::error;

/// The metadata that a caller has given; nothing is an empty map.
pub(crate) fn from_python(given: Option<&Bound<'_, PyAny>>) -> PyResult<Metadata> {
    match given.filter(|given| !given.is_none()) {
        None => Ok(Metadata::new()),
        Some(given) => map(given, "metadata", METADATA_DEPTH_MAX),
    }
}

fn map(given: &Bound<'_, PyAny>, name: &str, levels_left: usize) -> PyResult<Metadata> {
    // A dict that contains itself has no bottom.
    let Some(levels_left) = levels_left.checked_sub(1) else {
        return Err(error::metadata(given.py(), &MetadataError::TooDeep));
    };
    let mut metadata = Metadata::new();
    let mut insert = |key: &Bound<'_, PyAny>, given: &Bound<'_, PyAny>| {
        let Ok(key) = key.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!(
                "the keys of {name} are text, and {} is not",
                key.repr()?
            )));
        };
        let key = key.to_str()?;
        metadata.insert(key, value(given, key, levels_left)?);
        Ok(())
    };
    if let Ok(dict) = given.cast::<PyDict>() {
        for (key, given) in dict {
            insert(&key, &given)?;
        }
    } else if let Ok(mapping) = given.cast::<PyMapping>() {
        for item in mapping.items()? {
            let (key, given): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            insert(&key, &given)?;
        }
    } else {
        return Err(PyTypeError::new_err(format!(
            "{name} is a dict, not {}",
            given.get_type().name()?
        )));
    }
    Ok(metadata)
}

fn value(given: &Bound<'_, PyAny>, key: &str, levels_left: usize) -> PyResult<Value> {
    if given.is_none() {
        return Ok(Value::Null);
    }
    // A bool is an int too, so it is asked for first.
    if let Ok(value) = given.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if given.is_instance_of::<PyInt>() {
        return whole_number(given, key);
    }
    if let Ok(value) = given.cast::<PyFloat>() {
        return Ok(Value::F64(value.value()));
    }
    if let Ok(value) = given.cast::<PyString>() {
        return Ok(Value::Str(value.to_str()?.to_owned()));
    }
    if let Ok(value) = given.cast::<PyBytes>() {
        return Ok(Value::Bytes(value.as_bytes().to_vec()));
    }
    if let Ok(value) = given.cast::<PyByteArray>() {
        return Ok(Value::Bytes(value.to_vec()));
    }
    if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        let Some(levels_left) = levels_left.checked_sub(1) else {
            return Err(error::metadata(given.py(), &MetadataError::TooDeep));
        };
        return given
            .try_iter()?
            .map(|given| value(&given?, key, levels_left))
            .collect::<PyResult<Vec<_>>>()
            .map(Value::List);
    }
    if given.cast::<PyMapping>().is_ok() {
        return map(given, key, levels_left).map(Value::Map);
    }
    other(given, key, levels_left)
}

/// A number that is no `int`, such as numpy's scalars, or nothing that can travel.
fn other(given: &Bound<'_, PyAny>, key: &str, levels_left: usize) -> PyResult<Value> {
    let py = given.py();
    // numpy's scalars know their Python value; an array of many has none.
    if given.hasattr(intern!(py, "dtype"))?
        && let Ok(plain) = given.call_method0(intern!(py, "item"))
        && !plain.get_type().is(given.get_type())
    {
        return value(&plain, key, levels_left);
    }
    if given.hasattr(intern!(py, "__index__"))? {
        return whole_number(given, key);
    }
    Err(PyTypeError::new_err(format!(
        "the value of `{key}` in metadata is of type {}: metadata has None, bool, int, float, str, bytes, and lists \
         and dicts of these; large values belong into the payload",
        given.get_type().name()?
    )))
}

fn whole_number(given: &Bound<'_, PyAny>, key: &str) -> PyResult<Value> {
    given.extract().map(Value::I64).map_err(|_| {
        PyValueError::new_err(format!(
            "the value of `{key}` in metadata has more than 64 bits: send it as text or bytes"
        ))
    })
}

/// A new dict of what a message carries.
pub(crate) fn to_python<'py>(py: Python<'py>, metadata: &Metadata) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in metadata.iter() {
        dict.set_item(key, value_to_python(py, value)?)?;
    }
    Ok(dict)
}

fn value_to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::I64(value) => PyInt::new(py, *value).into_any(),
        Value::F64(value) => PyFloat::new(py, *value).into_any(),
        Value::Str(value) => PyString::new(py, value).into_any(),
        Value::Bytes(value) => PyBytes::new(py, value).into_any(),
        Value::List(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(value_to_python(py, value)?)?;
            }
            list.into_any()
        }
        Value::Map(map) => to_python(py, map)?.into_any(),
    })
}

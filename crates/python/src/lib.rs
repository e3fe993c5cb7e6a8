//! The node API in Python.

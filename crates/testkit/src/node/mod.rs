//! A harness for a node of your own: the real library, and a test in place of the runtime.

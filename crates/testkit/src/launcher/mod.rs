//! Launchers without processes, and the suite that every launcher passes.

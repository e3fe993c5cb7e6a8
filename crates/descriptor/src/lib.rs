//! YAML text to a checked description, or every diagnostic with line and column.

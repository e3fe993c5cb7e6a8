//! The words of dataflow: identifiers, epochs, sequences and the life cycle.

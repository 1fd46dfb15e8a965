//! Schema, group-commit writer, readers, conformance suite.

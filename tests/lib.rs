//! Rig of the integration suite.

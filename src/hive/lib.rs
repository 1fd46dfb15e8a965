//! The program: CLI, settings, telemetry set-up, composition root.

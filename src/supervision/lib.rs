//! OTP kit on actix: child spec, restart, intensity, cells, registry, watchdog.

//! Wire types of HTTP, versioned, with conversions.

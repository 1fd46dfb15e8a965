//! The committed log as readers see it: fold, projection, counters.

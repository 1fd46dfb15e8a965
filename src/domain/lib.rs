//! Ids, states, transitions, backoff, limits, events: pure decisions.

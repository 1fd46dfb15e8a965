//! The tasks that are submitted: nothing to do, an input of some 120 bytes, each with a number in its title, and with the
//! moment at which it was due.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::sample::title;
use crate::wire::Place;

/// What makes the input as long as those of the systems that it is compared with.
const PAD: &str = "the quick brown fox jumps over the lazy dog, and over the next one, and over th";
/// When this process began to count time.
static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Numbers for tasks. Cheap to clone; none is given twice.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Rc<Cell<u64>>);

impl Numbers {
    /// The next one.
    pub fn next(&self) -> u64 {
        let number = self.0.get() + 1;
        self.0.set(number);
        number
    }
}

/// What is added to a moment, so that each has the same number of digits.
const DIGITS: u64 = 1_000_000_000_000_000;

/// A moment as it stands in an input: microseconds, in sixteen digits.
fn micros(at: Instant) -> u64 {
    DIGITS + u64::try_from(at.saturating_duration_since(*BASE).as_micros()).unwrap_or(0)
}

/// The moment that stands in an input.
pub fn moment(micros: u64) -> Instant {
    *BASE + Duration::from_micros(micros.saturating_sub(DIGITS))
}

/// A task as JSON; `requires` is a capability, or empty.
pub fn body(number: u64, due: Instant, requires: &str) -> String {
    let requires = if requires.is_empty() { String::new() } else { format!(r#","requires":["{requires}"]"#) };
    let (title, due) = (title(number), micros(due));
    format!(r#"{{"title":"{title}","input":{{"due":{due},"pad":"{PAD}"}}{requires}}}"#)
}

/// A request that submits one task, to be sent again and again with other numbers: it costs no formatting.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    number_at: usize,
    due_at: usize,
}

impl Template {
    /// One for a place.
    pub fn new(place: &Place, requires: &str) -> Self {
        let bytes = place.post("/api/v2/tasks", &body(0, *BASE, requires));
        let behind = |text: &[u8]| {
            let at = bytes.windows(text.len()).position(|part| part == text);
            at.map_or(0, |at| at + text.len())
        };
        let (number_at, due_at) = (behind(b"\"title\":\"load "), behind(b"\"due\":"));
        Self { bytes, number_at, due_at }
    }

    /// The request for a task.
    pub fn with(&mut self, number: u64, due: Instant) -> &[u8] {
        put(&mut self.bytes, self.number_at, number, 10);
        put(&mut self.bytes, self.due_at, micros(due), 16);
        &self.bytes
    }
}

/// Writes a number over as many digits.
fn put(bytes: &mut [u8], at: usize, number: u64, digits: usize) {
    let mut rest = number;
    for digit in bytes.get_mut(at..at + digits).into_iter().flatten().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_the_request_of_the_task_it_was_given() {
        let place = Place { address: "127.0.0.1:1".to_owned(), token: "t".to_owned() };
        let due = moment(DIGITS + 12_345_678);
        let mut template = Template::new(&place, "work");
        assert_eq!(template.with(4_711, due), place.post("/api/v2/tasks", &body(4_711, due, "work")));
        assert_eq!(
            template.with(9_999_999_999, due),
            place.post("/api/v2/tasks", &body(9_999_999_999, due, "work"))
        );
    }
}

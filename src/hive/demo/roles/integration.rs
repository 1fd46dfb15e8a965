//! integration: a customer together with what this customer has ordered. Every third task crashes in its first attempt.

use serde_json::json;

use super::Job;
use super::production::{Customer, customers, orders};

/// What a script has printed for sure before it kills itself.
pub const LAST_WORDS: &str = "this does not look goo";

/// One of so many tasks stumbles: enough to be seen, and most of the work still goes well.
const STUMBLE_EVERY: usize = 3;

/// A record for each customer.
pub fn jobs() -> Vec<Job> {
    customers().enumerate().map(|(place, customer)| job(place, customer)).collect()
}

fn job(place: usize, customer: Customer<'_>) -> Job {
    let own: Vec<_> = orders().filter(|order| order.customer == customer.number).collect();
    let numbers: Vec<u64> = own.iter().filter_map(|order| order.number.parse().ok()).collect();
    let jars: u64 = own.iter().map(|order| order.jars).sum();
    let cents: u64 = own.iter().map(|order| order.jars * order.cents).sum();
    let stumbles = place % STUMBLE_EVERY == 1;
    let number = customer.number;
    Job {
        title: format!("All orders of {}", customer.name),
        prompt: if stumbles { format!("{number} stumble") } else { number.to_owned() },
        expected: json!({
            "customer": number, "name": customer.name, "orders": numbers, "jars": jars, "cents": cents,
        }),
        stumbles,
    }
}

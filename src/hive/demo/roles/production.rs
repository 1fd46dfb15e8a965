//! production: the letter that goes out with an order.

use super::{Job, text_result};
use crate::demo::shipped::paper;

/// A row of `orders.csv`.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Its number.
    pub number: &'a str,
    /// Who ordered.
    pub customer: &'a str,
    honey: &'a str,
    /// How many jars.
    pub jars: u64,
    /// What a jar costs.
    pub cents: u64,
}

/// A row of `customers.csv`.
#[derive(Debug, Clone, Copy)]
pub struct Customer<'a> {
    /// The number.
    pub number: &'a str,
    /// The name.
    pub name: &'a str,
    town: &'a str,
}

/// A letter for each order.
pub fn jobs() -> Vec<Job> {
    orders().filter_map(job).collect()
}

fn job(order: Order<'_>) -> Option<Job> {
    let customer = customers().find(|customer| customer.number == order.customer)?;
    let letter = paper("letter.txt")
        .replace("{{order}}", order.number)
        .replace("{{name}}", customer.name)
        .replace("{{town}}", customer.town)
        .replace("{{honey}}", order.honey)
        .replace("{{jars}}", &order.jars.to_string())
        .replace("{{price}}", &money(order.cents))
        .replace("{{total}}", &money(order.jars * order.cents));
    Some(Job {
        title: format!("Letter for order {}", order.number),
        prompt: order.number.to_owned(),
        expected: text_result(&letter),
        stumbles: false,
    })
}

/// All orders; a row that is none is left out.
pub fn orders() -> impl Iterator<Item = Order<'static>> {
    paper("orders.csv").lines().filter_map(|row| {
        let mut fields = row.split(',');
        let (number, customer, honey) = (fields.next()?, fields.next()?, fields.next()?);
        let (jars, cents) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Order { number, customer, honey, jars, cents })
    })
}

/// All customers, without the head of the table.
pub fn customers() -> impl Iterator<Item = Customer<'static>> {
    paper("customers.csv").lines().skip(1).filter_map(|row| {
        let mut fields = row.split(',');
        Some(Customer { number: fields.next()?, name: fields.next()?, town: fields.next()? })
    })
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

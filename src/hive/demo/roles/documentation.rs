//! documentation: sections of the handbook as HTML.

use super::{Job, text_result};
use crate::demo::shipped::paper;

/// A page for each section.
pub fn jobs() -> Vec<Job> {
    // what stands before the first section is the book's title
    let sections = paper("handbook.md").split("\n## ").skip(1);
    let job = |(place, section): (usize, &str)| {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        Job {
            title: format!("Page of the handbook: {heading}"),
            prompt: (place + 1).to_string(),
            expected: text_result(&page(heading, body)),
            stumbles: false,
        }
    };
    sections.enumerate().map(job).collect()
}

fn page(heading: &str, body: &str) -> String {
    let mut lines = vec![format!("<h2>{}</h2>", inline(heading))];
    for block in body.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let is_list = block.lines().all(|line| line.starts_with("- "));
        let tag = if is_list { "ul" } else { "p" };
        lines.push(format!("<{tag}>"));
        lines.extend(block.lines().map(|line| match line.strip_prefix("- ") {
            Some(item) if is_list => format!("<li>{}</li>", inline(item)),
            _ => inline(line),
        }));
        lines.push(format!("</{tag}>"));
    }
    lines.join("\n")
}

/// What stands between two marks gets their tag; the marks of a line come in pairs.
fn inline(line: &str) -> String {
    let mut html = String::with_capacity(line.len());
    let (mut is_code, mut is_emphasis) = (false, false);
    for letter in line.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '`' => html.push_str(turned(&mut is_code, "<code>", "</code>")),
            '*' => html.push_str(turned(&mut is_emphasis, "<em>", "</em>")),
            _ => html.push(letter),
        }
    }
    html
}

fn turned(is_open: &mut bool, open: &'static str, close: &'static str) -> &'static str {
    *is_open = !*is_open;
    if *is_open { open } else { close }
}

//! The page about all settings, docs/settings.md, from the reader that checks them and the file that holds the defaults.

use std::fmt::Write;

use super::{DEFAULT_TOML, ENV_PREFIX, Flags, Problems, Settings, Shown, Source};

const HEAD: &str = "\
# Settings

Every setting of `hive serve`. This page is written by a test from the code that checks them and from
[config/default.toml](../config/default.toml), which is the beginning of a file of your own: `hive config show --default`.

Weakest first: the defaults, the file of `--config PATH`, the environment, flags. In a file a key stands in its section
(`[lease]`, then `ttl_ms = 60000`); an unknown key is an error. `hive config check` tells everything that is wrong, `hive config show` what is in
force and where it comes from.
";

/// The page.
///
/// # Errors
/// When the built-in defaults are wrong; a test keeps that from shipping.
pub fn page() -> Result<String, Problems> {
    let settings = Settings::load(&Flags::default(), std::iter::empty())?;
    // with a flag in every place that has one, the source of a setting tells its flag
    let flags = Flags {
        data_dir: Some("x".into()),
        bind: Some("[::]:1".into()),
        database_url: Some("postgresql://x".into()),
        config: None,
    };
    let flagged = Settings::load(&flags, std::iter::empty())?;
    let mut page = HEAD.to_owned();
    let mut section = "";
    for (shown, flagged) in in_file_order(&settings.shown, &flagged.shown) {
        let (own, _) = shown.key.split_once('.').unwrap_or((shown.key, ""));
        if own != section {
            section = own;
            // a page in memory takes everything that is written
            let _ = write!(page, "\n## {section}\n\n{TABLE}");
        }
        page.push_str(&row(shown, flagged));
    }
    Ok(page)
}

const TABLE: &str = "\
| key | default | unit | allowed | environment | flag | why |
|---|---|---|---|---|---|---|
";

fn row(shown: &Shown, flagged: &Shown) -> String {
    let variable = format!("{ENV_PREFIX}{}", shown.key.to_uppercase().replace('.', "__"));
    let flag = match flagged.source {
        Source::Flag(flag) => format!("`{flag}`"),
        Source::Default | Source::File(_) | Source::Env(_) => String::new(),
    };
    let cells = [
        format!("`{}`", shown.key),
        format!("`{}`", shown.value),
        unit(shown).to_owned(),
        shown.allowed.clone(),
        format!("`{variable}`"),
        flag,
        reason(shown.key),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// Names end with their unit; what ends otherwise is counted.
fn unit(shown: &Shown) -> &'static str {
    match shown.key.rsplit(['_', '.']).next().unwrap_or_default() {
        _ if !shown.is_number => "text",
        "ms" => "milliseconds",
        "s" => "seconds",
        "bytes" => "bytes",
        _ => "count",
    }
}

/// Settings as the file of defaults lists them.
fn in_file_order<'a>(shown: &'a [Shown], flagged: &'a [Shown]) -> Vec<(&'a Shown, &'a Shown)> {
    let mut both: Vec<_> = shown.iter().zip(flagged).collect();
    both.sort_by_key(|(shown, _)| lines_of_keys().position(|(key, _)| key == shown.key));
    both
}

/// The comment above a key, as one text.
fn reason(key: &str) -> String {
    lines_of_keys().find(|(found, _)| found == key).map(|(_, why)| why).unwrap_or_default()
}

/// Each key of the file of defaults with the comment right above it.
fn lines_of_keys() -> impl Iterator<Item = (String, String)> {
    let (mut section, mut why) = (String::new(), Vec::new());
    DEFAULT_TOML.lines().filter_map(move |line| {
        if let Some(words) = line.strip_prefix("# ") {
            why.push(words);
            return None;
        }
        let reason = std::mem::take(&mut why).join(" ");
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        }
        let (name, _) = line.split_once(" = ")?;
        Some((format!("{section}.{name}"), reason))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_row_with_all_that_is_known_of_it() {
        let page = page().unwrap();
        let settings = Settings::load(&Flags::default(), std::iter::empty()).unwrap();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), settings.shown.len());
        let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        assert_eq!(
            row("lease.ttl_ms"),
            "| `lease.ttl_ms` | `30000` | milliseconds | a whole number from 1000 to 86400000 | `HIVE__LEASE__TTL_MS` |  | How long an attempt lives without a heartbeat: long enough for a slow network, short enough to take over soon. |"
        );
        assert!(row("server.bind").contains("| `HIVE__SERVER__BIND` | `--bind` |"), "{}", row("server.bind"));
        assert!(row("store.data_dir").contains("| `--data-dir` |"));
        assert!(row("log.format").contains("| text | auto, text or json |"), "{}", row("log.format"));
        assert!(
            row("log.level").contains("by module: \"info,runtime=debug\". The web server's"),
            "both lines of why"
        );
        for shown in &settings.shown {
            assert!(!reason(shown.key).is_empty(), "{} has no reason", shown.key);
        }
    }
}

//! How an agent is reached, as it stands in its row: the word for the kind, how its process is started, and apart from
//! that the values of the environment, which nobody may read back.

use std::collections::BTreeMap;

use domain::{Link, ProcessLink, Secret};

use crate::sql::columns;
use crate::sql::failure::Failure;

/// How a process is started as JSON, without the values of its environment; nothing for a worker.
pub(crate) fn spec_column(link: &Link) -> Result<Option<String>, Failure> {
    link.process().map(columns::json).transpose()
}

/// The values of a process's environment as JSON, unless there are none.
pub(crate) fn env_column(link: &Link) -> Result<Option<String>, Failure> {
    let Some(process) = link.process().filter(|process| !process.env.is_empty()) else { return Ok(None) };
    let values: BTreeMap<&str, &str> =
        process.env.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    columns::json(&values).map(Some)
}

/// A link from its columns.
///
/// # Errors
/// Says what cannot be understood; of the environment without a word of what stands there.
pub(crate) fn link(kind: &str, spec: Option<&str>, env: Option<&str>) -> Result<Link, String> {
    match kind {
        Link::WORKER => Ok(Link::Worker),
        Link::PROCESS => {
            let spec = spec.ok_or("a process without a word of how it is started")?;
            let mut process: ProcessLink =
                serde_json::from_str(spec).map_err(|error| format!("link: {error}"))?;
            process.env = values(env)?;
            Ok(Link::Process(Box::new(process)))
        }
        _ => Err("unknown link".to_owned()),
    }
}

fn values(env: Option<&str>) -> Result<BTreeMap<String, Secret>, String> {
    let Some(env) = env else { return Ok(BTreeMap::new()) };
    let values: BTreeMap<String, String> =
        serde_json::from_str(env).map_err(|_| "the values of its environment are no JSON map of texts")?;
    Ok(values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

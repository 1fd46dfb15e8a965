//! The rules of the house that no lint checks: how files begin and end, names, spelling, layers, words.
//!
//! Invariant: each test names every offence in one run, as `path:line: what`, and never stops at the first.
//! What is banned is spelled in pieces here, so that this file keeps its own rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines.
const LINES_MAX: usize = 500;

/// What names never say, because it says nothing.
const EMPTY_WORDS: [&str; 10] =
    ["manager", "managers", "helper", "helpers", "util", "utils", "common", "data", "info", "infos"];

/// Names that contain such a word for a reason.
const ALLOWED_NAMES: &[(&str, &str)] = &[
    ("data", "the field of an event in the wire contract, and the module that makes it"),
    ("Data", "the same, as a type"),
    ("DATA_BYTES_MAX", "the limit of that field"),
    ("data_dir", "the setting, the flag and the field of that name: what users call the folder"),
    ("data_folder", "the folder that `data_dir` names"),
    ("DataDir", "the type of `data_dir`"),
    ("DataFolder", "the type of `data_folder`"),
];
/// Verbs that hide what a function does, as the first word of a longer name.
const EMPTY_VERBS: [&str; 2] = ["process", "do"];

/// Which of our crates each crate may use: the rows of the table in docs/architecture.md.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("scheduling", &["domain"]),
    ("supervision", &[]),
    ("store", &["domain"]),
    ("feed", &["domain", "store"]),
    ("links", &["domain"]),
    ("runtime", &["domain", "scheduling", "supervision", "store", "feed", "links"]),
    ("protocol", &["domain"]),
    ("api", &["domain", "supervision", "store", "feed", "runtime", "protocol"]),
    ("client", &["protocol"]),
    (
        "hive",
        &[
            "domain",
            "scheduling",
            "supervision",
            "store",
            "feed",
            "links",
            "runtime",
            "protocol",
            "api",
            "client",
        ],
    ),
];

/// Libraries that shape a layer, and the only crates that may name them as a dependency.
const HOMES: &[(&str, &[&str])] = &[
    ("actix", &["supervision", "runtime", "api", "hive"]),
    ("actix-http", &["api"]),
    ("actix-server", &["api"]),
    ("actix-service", &["api"]),
    ("actix-web", &["api", "hive"]),
    ("actix-web-actors", &["api"]),
    ("clap", &["hive"]),
    ("diesel", &["store"]),
    ("diesel-async", &["store"]),
    ("diesel_migrations", &["store"]),
    ("libsqlite3-sys", &["store"]),
    ("tokio-postgres", &["store"]),
    ("reqwest", &["client", "hive"]),
    ("tracing-subscriber", &["hive"]),
    ("utoipa", &["protocol", "api"]),
];

/// All that the two pure crates may use from outside.
const PURE: &[(&str, &[&str])] = &[("domain", &["serde", "thiserror"]), ("scheduling", &["foldhash"])];

#[test]
fn every_file_begins_by_saying_what_it_owns() {
    let offences = rust_files().into_iter().filter_map(|file| {
        let first = file.lines().next().unwrap_or_default();
        let says = first.strip_prefix("//!").is_some_and(|words| words.trim().len() > 3);
        (!says).then(|| format!("{}:1: does not begin with `//!` and what it owns", file.path))
    });
    none(offences);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let offences = rust_files().into_iter().filter_map(|file| {
        let count = file.lines().count();
        (count > LINES_MAX).then(|| format!("{}:{count}: longer than {LINES_MAX} lines", file.path))
    });
    none(offences);
}

#[test]
fn no_name_says_nothing() {
    let mut offences = Vec::new();
    for file in rust_files() {
        let stem = Path::new(&file.path).file_stem().unwrap().to_string_lossy().into_owned();
        offences.extend(empty_word(&stem).map(|why| format!("{}:0: file name {why}", file.path)));
        let mut is_test = false;
        for (number, line) in file.code() {
            // Names of tests are sentences, and may speak of the wire's words.
            if is_test && line.contains("fn ") {
                is_test = false;
                continue;
            }
            is_test |= line.contains("#[") && line.contains("test");
            for (keyword, name) in definitions(line) {
                offences.extend(
                    empty_word(&name).map(|why| at(&file, number, &format!("{keyword} {name} {why}"))),
                );
                if keyword == "fn" {
                    offences
                        .extend(empty_verb(&name).map(|why| at(&file, number, &format!("fn {name} {why}"))));
                }
            }
        }
    }
    none(offences);
}

#[test]
fn modules_live_beside_their_folder_and_not_in_a_file_named_mod() {
    let offences =
        rust_files().into_iter().filter(|file| file.path.ends_with("/mod.rs")).map(|file| file.path);
    none(offences);
}

#[test]
fn canceled_is_spelled_with_one_l() {
    let twice = ["cancell", "ed"].concat();
    // Names that std, tokio and futures gave: `is_…()`, `.…()`, `Canceled`-like errors of theirs.
    let theirs = [format!("is_{twice}"), format!(".{twice}()")];
    let mut offences = Vec::new();
    for file in text_files() {
        for (number, line) in numbered(&file.text) {
            let mut ours = line.to_lowercase();
            for name in &theirs {
                ours = ours.replace(name, "");
            }
            if ours.contains(&twice) || ours.contains(&["cancell", "ing"].concat()) {
                offences.push(at(&file, number, "`canceled`, `canceling`: one l"));
            }
        }
    }
    none(offences);
}

#[test]
fn no_test_is_ignored_and_no_code_is_left_for_later() {
    let banned = [["#[ig", "nore"], ["todo", "!("], ["unimple", "mented!("]].map(|pieces| pieces.concat());
    none(code_lines_with(&banned, |_| true, "neither skipped tests nor gaps"));
}

#[test]
fn only_supervision_sends_without_a_bound() {
    let banned = [[".do_", "send("].concat()];
    let elsewhere = |path: &str| !path.starts_with("src/supervision/");
    none(code_lines_with(
        &banned,
        elsewhere,
        "it overfills mailboxes and drops silently; `try_send` or `send().await`",
    ));
}

#[test]
fn every_lint_that_is_switched_off_says_why() {
    let mut offences = Vec::new();
    for file in rust_files() {
        for opening in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (start, _) in file.text.match_indices(opening) {
                let attribute = file.text[start..].split(']').next().unwrap();
                let before = file.text[..start].rsplit('\n').next().unwrap().trim_start();
                if !before.is_empty() || attribute.contains("reason") {
                    continue; // quoted in a comment or a string, or explained
                }
                offences.push(at(&file, file.text[..start].matches('\n').count() + 1, "no `reason = \"…\"`"));
            }
        }
    }
    none(offences);
}

#[test]
fn no_file_names_a_registry_host_or_a_place_outside_the_repository() {
    let hosts: Vec<String> = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["npmjs", "org"],
        ["npmjs", "com"],
        ["debian", "org"],
        ["proxy.golang", "org"],
    ]
    .map(|pieces| pieces.join("."))
    .into();
    let outside = [["..", "shared"], ["work", "shared"]].map(|pieces| pieces.join("/"));
    let mut offences = Vec::new();
    // The `source` lines of a lock file are the package tool's own; nobody writes them.
    for file in text_files().into_iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (number, line) in numbered(&file.text) {
            let named = hosts.iter().chain(&outside).filter(|needle| line.contains(needle.as_str()));
            offences.extend(named.map(|needle| at(&file, number, &format!("names {needle}"))));
        }
    }
    none(offences);
}

#[test]
fn the_documents_speak_of_the_program_and_not_of_how_it_was_written() {
    let banned = [
        "as an ai",
        "ai-generated",
        "ai assistant",
        "chatgpt",
        "co-authored-by",
        "coding session",
        "generated by",
        "generated with",
        "helper",
        "language model wrote",
        "next session",
        "previous session",
        "sub-agent",
        "subagent",
        "the brief",
        "the lead ",
        "this session",
    ];
    let mut offences = Vec::new();
    for file in text_files().into_iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in numbered(&file.text) {
            let line = line.to_lowercase();
            let found = banned.iter().filter(|phrase| line.contains(**phrase));
            offences.extend(found.map(|phrase| at(&file, number, &format!("says {phrase:?}"))));
        }
    }
    none(offences);
}

#[test]
fn the_documents_name_only_files_that_exist() {
    let root = root();
    let code: Vec<String> = rust_files().into_iter().map(|file| format!("/{}", file.path)).collect();
    let mut offences = Vec::new();
    for file in text_files().into_iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root.join(&file.path).parent().unwrap().to_path_buf();
        for (number, line) in numbered(&file.text) {
            let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            let broken =
                links.filter(|link| !link.is_empty() && !link.contains("://") && !folder.join(link).exists());
            offences.extend(
                broken.map(|link| at(&file, number, &format!("links to {link}, which is not there"))),
            );
            let quoted = line.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs"));
            let gone = quoted.filter(|name| !code.iter().any(|path| path.ends_with(&format!("/{name}"))));
            offences.extend(gone.map(|name| at(&file, number, &format!("names {name}, which is not there"))));
        }
    }
    none(offences);
}

#[test]
fn no_crate_names_a_layer_above_it() {
    let rows: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut offences = Vec::new();
    for (name, used) in crates() {
        let Some(allowed) = rows.get(name.as_str()) else {
            offences.push(format!("src/{name}/Cargo.toml:0: {name} has no row in the table of layers"));
            continue;
        };
        for (section, dependency) in used {
            let is_ours = rows.contains_key(dependency.as_str());
            // A crate's tests may also speak the words that come to it through the crates it uses.
            let is_below = allowed.iter().any(|used| {
                *used == dependency
                    || section == "dev-dependencies" && rows[used].contains(&dependency.as_str())
            });
            if is_ours && !is_below {
                offences
                    .push(format!("src/{name}/Cargo.toml:0: [{section}] {dependency} is not below {name}"));
            }
        }
    }
    none(offences);
}

#[test]
fn libraries_that_shape_a_layer_stay_in_it() {
    let homes: BTreeMap<&str, &[&str]> = HOMES.iter().copied().collect();
    let pure: BTreeMap<&str, &[&str]> = PURE.iter().copied().collect();
    let mut offences = Vec::new();
    for (name, used) in crates() {
        for (section, dependency) in used.iter().filter(|(section, _)| section != "dev-dependencies") {
            let is_ours = LAYERS.iter().any(|(layer, _)| layer == dependency);
            let is_foreign =
                homes.get(dependency.as_str()).is_some_and(|homes| !homes.contains(&name.as_str()));
            let is_impure =
                !is_ours && pure.get(name.as_str()).is_some_and(|few| !few.contains(&dependency.as_str()));
            if is_foreign || is_impure {
                offences.push(format!(
                    "src/{name}/Cargo.toml:0: [{section}] {dependency} does not belong in {name}"
                ));
            }
        }
    }
    none(offences);
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(words("TaskManager2"), ["task", "manager2"]);
    assert_eq!(words("read_HTTPInfo"), ["read", "httpinfo"]);
    assert_eq!(words("metadata"), ["metadata"]);
    assert!(empty_word("TaskManager").is_some() && empty_word("event_data").is_some());
    assert!(empty_word("data_dir").is_none() && empty_word("Database").is_none());
    assert!(empty_verb("do_it").is_some() && empty_verb("process").is_none());
    let found = definitions("    pub(crate) async fn one<T>() -> impl Fn() where struct Two;");
    assert_eq!(found, [("fn", "one".to_owned()), ("struct", "Two".to_owned())]);
    assert_eq!(code_of("let a = \"fn do_it // no\"; // fn util"), "let a = \"\"; ");
    assert!(rust_files().len() > 50 && text_files().len() > rust_files().len() && crates().len() >= 10);
}

/// A file of the repository.
struct SourceFile {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    fn lines(&self) -> std::str::Lines<'_> {
        self.text.lines()
    }

    /// The lines with comments and the insides of strings taken out.
    fn code(&self) -> impl Iterator<Item = (usize, String)> {
        numbered(&self.text).map(|(number, line)| (number, code_of(line)))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn rust_files() -> Vec<SourceFile> {
    text_files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// Every file that is text, the hidden ones too, except what is built, stored or not ours.
fn text_files() -> Vec<SourceFile> {
    const SKIPPED: [&str; 5] = [".git", "target", "hive-data", "node_modules", "__pycache__"];
    let root = root();
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        // What another test makes and removes meanwhile is not ours to look at.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !SKIPPED.contains(&entry.file_name().to_string_lossy().as_ref()) {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                let path = entry.path().strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                files.push(SourceFile { path, text });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// A line without its comment and without what stands in its strings; good enough for names.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if is_quoted => drop(letters.next()),
            '"' => {
                is_quoted = !is_quoted;
                code.push('"');
            }
            '/' if !is_quoted && letters.peek() == Some(&'/') => break,
            _ if is_quoted => {}
            _ => code.push(letter),
        }
    }
    code
}

/// What a line of code defines, as (keyword, name).
fn definitions(line: impl AsRef<str>) -> Vec<(&'static str, String)> {
    const KEYWORDS: [&str; 7] = ["fn", "struct", "enum", "mod", "trait", "type", "const"];
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let tokens: Vec<&str> =
        line.as_ref().split(|letter| !is_part(letter)).filter(|token| !token.is_empty()).collect();
    tokens
        .windows(2)
        .filter_map(|pair| {
            let keyword = KEYWORDS.into_iter().find(|keyword| *keyword == pair[0])?;
            (!KEYWORDS.contains(&pair[1])).then(|| (keyword, pair[1].to_owned()))
        })
        .collect()
}

/// The words of a name, in lower case: `TaskRow2` and `task_row2` are `task`, `row2`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if letter != '_' {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn empty_word(name: &str) -> Option<String> {
    if ALLOWED_NAMES.iter().any(|(allowed, _)| *allowed == name) {
        return None;
    }
    let found = words(name).into_iter().find(|word| EMPTY_WORDS.contains(&word.as_str()))?;
    Some(format!("says {found:?}, which says nothing"))
}

fn empty_verb(name: &str) -> Option<String> {
    let (verb, _) = name.split_once('_')?;
    EMPTY_VERBS.contains(&verb).then(|| format!("begins with {verb:?}, which hides what it does"))
}

fn code_lines_with<'a>(
    needles: &'a [String],
    applies: impl Fn(&str) -> bool + 'a,
    why: &'a str,
) -> Vec<String> {
    let mut offences = Vec::new();
    for file in rust_files().into_iter().filter(|file| applies(&file.path)) {
        for (number, line) in file.code() {
            let found = needles.iter().filter(|needle| line.contains(needle.as_str()));
            offences.extend(found.map(|needle| at(&file, number, &format!("{needle}: {why}"))));
        }
    }
    offences
}

/// Each crate under src/ with its dependencies as (section, name), read from its manifest line by line.
fn crates() -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let mut section = String::new();
        let mut used = Vec::new();
        for line in manifest.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[') {
                let header = header.trim_end_matches(']');
                section = header.to_owned();
                // `[dependencies.name]` is a dependency too.
                if let Some((kind, name)) = header.split_once("dependencies.") {
                    used.push((format!("{kind}dependencies"), name.to_owned()));
                }
            } else if section.ends_with("dependencies") && !line.starts_with('#') {
                let name: String = line.chars().take_while(|letter| !" .=".contains(*letter)).collect();
                if !name.is_empty() {
                    used.push((section.clone(), name));
                }
            }
        }
        found.push((folder.file_name().unwrap().to_string_lossy().into_owned(), used));
    }
    found.sort();
    found
}

fn at(file: &SourceFile, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", file.path)
}

fn none(offences: impl IntoIterator<Item = String>) {
    let offences: Vec<String> = offences.into_iter().collect();
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

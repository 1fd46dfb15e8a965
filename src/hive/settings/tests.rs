//! Tests of the settings: precedence, checks, and that all problems are told at once.

use super::*;

fn env(vars: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let vars: Vec<_> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    vars.into_iter()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn problems(flags: &Flags, vars: &[(&str, &str)]) -> Vec<String> {
    let Problems(found) = Settings::load(flags, env(vars)).unwrap_err();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_alone_are_complete_and_valid() {
    let settings = Settings::load(&Flags::default(), env(&[])).unwrap();
    assert_eq!(settings.server.bind, "127.0.0.1:18080".parse().unwrap());
    assert_eq!(settings.limits, Limits::default());
    assert_eq!(settings.lease.ttl_ms, 30_000);
    assert_eq!(settings.log.format, LogFormat::Auto);
    let entries = source::from_toml(DEFAULT_TOML, &Source::Default).unwrap();
    assert_eq!(settings.shown.len(), entries.len(), "every key that is read has a default");
    assert!(settings.shown.iter().all(|shown| shown.source == Source::Default));
}

#[test]
fn every_default_stands_under_a_line_of_why() {
    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#')) {
        assert!(pair[0].starts_with("# "), "{} has no reason", pair[1]);
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let (_folder, path) = file("[server]\nbind = \"127.0.0.1:1\"\nweb_threads = 3\n[lease]\nttl_ms = 5000\n");
    let flags = Flags { config: Some(path.clone()), bind: Some("127.0.0.1:3".into()), ..Flags::default() };
    let vars = [("HIVE__SERVER__BIND", "127.0.0.1:2"), ("HIVE__SERVER__WEB_THREADS", "4"), ("PATH", "/bin")];
    let settings = Settings::load(&flags, env(&vars)).unwrap();
    assert_eq!(settings.server.bind.port(), 3);
    assert_eq!(settings.server.web_threads, 4);
    assert_eq!(settings.lease.ttl_ms, 5_000);
    assert_eq!(settings.lease.cancel_grace_ms, 30_000);
    let source = |key| settings.shown.iter().find(|shown| shown.key == key).unwrap().source.to_string();
    assert_eq!(source("server.bind"), "flag --bind");
    assert_eq!(source("server.web_threads"), "environment HIVE__SERVER__WEB_THREADS");
    assert_eq!(source("lease.ttl_ms"), format!("file {}", path.display()));
    assert_eq!(source("lease.cancel_grace_ms"), "default");
}

#[test]
fn all_problems_of_all_sources_are_told_at_once_with_what_is_allowed() {
    let (_folder, path) =
        file("[server]\nweb_threads = 0\nbnid = 1\n[lease]\nttl_ms = \"30s\"\n[log]\nformat = [1]\n");
    let flags = Flags {
        config: Some(path.clone()),
        bind: Some("nowhere".into()),
        data_dir: Some("".into()),
        database_url: None,
    };
    let told = problems(&flags, &[("HIVE__LOG__LEVEL", "loud=="), ("HIVE__SERVER__WEB_THREADS", "many")]);
    let file = format!("file {}", path.display());
    let expected = [
        r#"flag --bind: server.bind = "nowhere" must be an address and a port, like 127.0.0.1:18080 or [::1]:18080 (port 0 takes a free one)"#.to_owned(),
        format!("{file}: server.web_threads = 0 must be a whole number from 1 to 64"),
        r#"environment HIVE__SERVER__WEB_THREADS: server.web_threads = "many" must be a whole number from 1 to 64"#.to_owned(),
        r#"flag --data-dir: store.data_dir = "" must be the path of a folder"#.to_owned(),
        format!(r#"{file}: lease.ttl_ms = "30s" must be a whole number from 1000 to 86400000"#),
        r#"environment HIVE__LOG__LEVEL: log.level = "loud==" must be error, warn, info, debug or trace, or by module like "info,runtime=debug""#.to_owned(),
        format!("{file}: log.format = a list must be auto, text or json"),
        format!("{file}: unknown key server.bnid; did you mean server.bind?"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_unknown_key_is_named_and_its_value_never_shown() {
    let told = problems(&Flags::default(), &[("HIVE__AUTH__ADMIN_TOKEN", "s3cret")]);
    assert_eq!(
        told,
        [
            "environment HIVE__AUTH__ADMIN_TOKEN: unknown key auth.admin_token; `hive config show --default` lists every key"
        ]
    );
}

#[test]
fn a_missing_or_broken_file_is_told_together_with_the_rest() {
    let flags = Flags { config: Some("/nowhere/hive.toml".into()), ..Flags::default() };
    let told = problems(&flags, &[("HIVE__LEASE__TTL_MS", "1")]);
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("file /nowhere/hive.toml: cannot be read: "), "{}", told[0]);
    let (_folder, path) = file("[server\n");
    let told = problems(&Flags { config: Some(path), ..Flags::default() }, &[]);
    assert!(told[0].contains("is not TOML: ") && told[0].contains("line 1"), "{}", told[0]);
}

#[test]
fn the_password_of_a_database_is_shown_nowhere() {
    for (url, shown) in [
        ("postgresql://me:hunter2@db.example/hive", r#""postgresql://me:…@db.example/hive""#),
        (
            "postgres://me@db.example:5433/hive?sslmode=require&password=hunter2",
            r#""postgres://me@db.example:5433/hive?…""#,
        ),
        ("postgresql://me:hunter2@at@db/hive", r#""postgresql://me:…@db/hive""#),
        ("postgresql:///hive", r#""postgresql:///hive""#),
        ("", r#""""#),
    ] {
        let settings = Settings::load(&Flags::default(), env(&[("HIVE__DATABASE__URL", url)])).unwrap();
        assert_eq!(
            settings.store.database_url.as_ref().map(Secret::reveal),
            (!url.is_empty()).then_some(url)
        );
        let found = settings.shown.iter().find(|found| found.key == "database.url").unwrap();
        assert_eq!(found.value, shown, "{url}");
    }
    let told = problems(&Flags::default(), &[("HIVE__DATABASE__URL", "mysql://me:hunter2@db/hive")]);
    assert!(told[0].contains(r#""mysql://me:…@db/hive" must be empty"#), "{told:?}");
    assert!(!told[0].contains("hunter2"), "{told:?}");
}

//! That what ships can be read, and that what cannot be read says so.

use super::*;

fn named(name: &str) -> Name {
    name.parse().unwrap()
}

#[test]
fn every_preset_that_ships_can_be_read_and_says_what_it_is() {
    let presets = Presets::embedded().unwrap();
    let names: Vec<&str> = presets.all().map(|preset| preset.name.as_str()).collect();
    assert_eq!(names, ["aider", "claude-code", "codex", "gemini", "opencode", "shell"]);
    for preset in presets.all() {
        assert!(!preset.about.is_empty() && !preset.about.contains('\n'), "{preset:?}");
        assert_eq!(preset.link.preset.as_ref(), Some(&preset.name));
        assert!(preset.link.env.is_empty() && preset.link.args.is_empty(), "{preset:?}");
        let is_agent = preset.name.as_str() != "shell";
        let has_hints = preset.install.is_some() && preset.sign_in.is_some() && !preset.signed_out.is_empty();
        assert_eq!(has_hints, is_agent, "an agent says how it is installed and signed in: {preset:?}");
        assert!(preset.signed_out.iter().all(|text| text.len() >= 10), "a short text is found in any output");
    }
}

#[test]
fn every_file_of_the_folder_ships() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/agents");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, FILES.map(|(name, _)| format!("{name}.toml")));
}

#[test]
fn the_agents_are_started_as_they_were_tried() {
    let presets = Presets::embedded().unwrap();
    let claude = presets.get(&named("claude-code")).unwrap();
    assert_eq!(
        claude.link.command.join(" "),
        "claude -p --output-format stream-json --verbose --permission-mode acceptEdits"
    );
    assert_eq!(claude.link.result, ResultFormat::ClaudeStreamJson);
    assert!(claude.link.inherit_env.contains("ANTHROPIC_API_KEY"));
    let codex = presets.get(&named("codex")).unwrap();
    assert_eq!(
        codex.link.command.join(" "),
        "codex exec --json --skip-git-repo-check --sandbox workspace-write"
    );
    assert_eq!((codex.link.result, codex.link.prompt), (ResultFormat::CodexJson, PromptVia::Stdin));
    let shell = presets.get(&named("shell")).unwrap();
    assert_eq!((shell.link.command.join(" ").as_str(), shell.link.prompt), ("sh -c", PromptVia::Argument));
    assert!(presets.get(&named("unknown")).is_none());
}

#[test]
fn a_key_that_presets_do_not_have_is_an_error_that_names_it() {
    const GOOD: &str = "about = \"x\"\ncommand = [\"x\"]\nprompt = \"stdin\"\nresult = \"text\"\n";
    assert!(read("good", GOOD).is_ok());
    let causes = |toml: &str| match read("bad", toml) {
        Err(PresetError::Toml { file, source }) => format!("{file}: {source}"),
        other => panic!("{other:?}"),
    };
    assert!(causes(&format!("{GOOD}signed_off = []\n")).contains("unknown field `signed_off`"));
    assert!(causes(&format!("{GOOD}[limits]\nmemory = 1\n")).contains("unknown field `memory`"));
    assert!(causes(&GOOD.replace("stdin", "mail")).contains("unknown variant `mail`"));
    assert!(causes(&GOOD.replace("about", "# about")).contains("missing field `about`"));
}

#[test]
fn a_preset_keeps_the_rules_for_links() {
    let toml = "about = \"x\"\ncommand = []\nprompt = \"stdin\"\nresult = \"text\"\ninherit_env = [\"HIVE_TOKEN\"]\n";
    let Err(PresetError::Link { source, .. }) = read("bad", toml) else { panic!("it was read") };
    let said = format!("{source:?}");
    assert!(said.contains("link.command") && said.contains("HIVE_TOKEN"), "{said}");
    assert!(matches!(read("Bad Name", toml), Err(PresetError::Name { .. })));
}

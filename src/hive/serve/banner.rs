//! What somebody reads who has just started a hive.

use std::path::Path;

use crate::admin_token::{self, Token};
use crate::cli::counted;
use crate::data_folder::DEFAULT;
use crate::serve::Running;

/// The facts of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// The absolute data folder.
    pub folder: String,
    /// `new`, or how many tasks were found.
    pub found: String,
    /// The address.
    pub url: String,
    /// Where the token is.
    pub token_file: String,
    /// The token, for the link that signs in; only where a terminal alone hears it.
    pub token: Option<Token>,
    /// What to type before a command's name.
    pub program: String,
}

impl Banner {
    /// Of a hive that has just started; with the link that signs in when it is written to a terminal.
    #[must_use]
    pub fn of(running: &Running, program: &str, is_terminal: bool) -> Self {
        let folder = &running.folder.path;
        let found = if running.folder.is_new {
            "new".to_owned()
        } else {
            let total = running.feed.read(|projection| projection.totals().total());
            format!("{} found", counted(total, "task"))
        };
        let is_usual = std::path::absolute(DEFAULT).is_ok_and(|usual| usual == *folder);
        let program =
            if is_usual { program.to_owned() } else { format!("{program} --data-dir {}", quoted(folder)) };
        Self {
            folder: folder.display().to_string(),
            found,
            url: running.url.clone(),
            token_file: folder.join(admin_token::FILE_NAME).display().to_string(),
            token: is_terminal.then(|| running.admin_token.clone()),
            program,
        }
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { folder, found, url, token_file, token, program } = self;
        let version = env!("CARGO_PKG_VERSION");
        let watch = match token {
            Some(token) => format!("{} signs in: keep it to yourself", sign_in(url, token)),
            None => format!("{url}/ in a browser; it asks for the token"),
        };
        format!(
            "
   ⬡ ⬢ ⬡    Agent Hive {version}
    ⬢ ⬡     is up and humming

   data     {folder} ({found})
   address  {url}
   watch    {watch}
   token    in {token_file}; commands find it by themselves

   try      {program} agent add ada
            {program} task submit \"Say hello\"
            {program} --help
   stop     Ctrl-C finishes what is under way; a second one ends at once

"
        )
    }
}

/// The link that signs in. What stands behind `#` stays in the browser: no server is sent it, and no log has it.
fn sign_in(url: &str, token: &Token) -> String {
    let mut link = format!("{url}/#token=");
    for byte in token.reveal().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            link.push(char::from(byte));
        } else {
            link.push_str(&format!("%{byte:02X}"));
        }
    }
    link
}

fn quoted(path: &Path) -> String {
    let shown = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,".contains(letter);
    if shown.chars().all(is_plain) { shown } else { format!("'{}'", shown.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_says_where_everything_is() {
        let banner = Banner {
            folder: "/x/hive-data".into(),
            found: "42 tasks found".into(),
            url: "http://127.0.0.1:18080".into(),
            token_file: "/x/hive-data/admin.token".into(),
            token: None,
            program: "hive".into(),
        };
        let text = banner.text();
        assert!(!text.contains("token=") && text.contains("http://127.0.0.1:18080/ in a browser"), "{text}");
        for fact in ["/x/hive-data (42 tasks found)", "http://127.0.0.1:18080", "in /x/hive-data/admin.token"]
        {
            assert!(text.contains(fact), "{fact} in {text}");
        }
    }

    #[test]
    fn the_link_that_signs_in_holds_any_token_and_debug_shows_none() {
        let token = Token::from_text("a+b&c#d%e_0123456789012345678901234").unwrap();
        let link = sign_in("http://127.0.0.1:1", &token);
        assert_eq!(link, "http://127.0.0.1:1/#token=a%2Bb%26c%23d%25e_0123456789012345678901234");
        let banner = Banner {
            folder: String::new(),
            found: String::new(),
            url: "http://127.0.0.1:1".into(),
            token_file: String::new(),
            token: Some(token),
            program: "hive".into(),
        };
        assert!(banner.text().contains(&link) && !format!("{banner:?}").contains("0123456789"), "{banner:?}");
    }

    #[test]
    fn a_path_with_spaces_is_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-c")), "/a/b-c");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}

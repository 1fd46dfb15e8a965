//! Finds the file of a command, as a shell would.

use std::path::{Path, PathBuf};

use domain::ProcessLink;
use rustix::fs::{Access, access};

/// Where programs are looked for when the environment does not say.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The file of a link's program; relative when it lies below the folder that the process starts in, and unchecked then.
///
/// # Errors
/// A sentence for people, without a full stop.
pub fn find(link: &ProcessLink, path: Option<&str>) -> Result<PathBuf, String> {
    let name = link.command.first().map(String::as_str).unwrap_or_default();
    if name.contains('/') {
        let file = PathBuf::from(name);
        if file.is_absolute() && !is_program(&file) {
            return Err(format!("`{name}` is no file that can be executed"));
        }
        return Ok(file);
    }
    // A folder that is relative would mean another one in each workspace.
    let folders = path.unwrap_or(USUAL_PATH).split(':').map(Path::new).filter(|folder| folder.is_absolute());
    let mut files = folders.map(|folder| folder.join(name));
    files
        .find(|file| !name.is_empty() && is_program(file))
        .ok_or_else(|| format!("the program `{name}` was not found on the PATH"))
}

fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn link(program: &str) -> ProcessLink {
        ProcessLink { command: vec![program.to_owned()], ..ProcessLink::default() }
    }

    #[test]
    fn the_first_executable_file_on_the_path_is_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("a").join("tool"), "no program").unwrap();
        fs::set_permissions(at("a").join("tool"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::create_dir(at("b").join("tool")).unwrap();
        fs::write(at("c").join("tool"), "#!/bin/sh").unwrap();
        fs::set_permissions(at("c").join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!(":relative:{}:{}:{}", at("a").display(), at("b").display(), at("c").display());
        assert_eq!(find(&link("tool"), Some(&path)), Ok(at("c").join("tool")));
        assert_eq!(
            find(&link("other"), Some(&path)),
            Err("the program `other` was not found on the PATH".to_owned())
        );
        assert!(find(&link("sh"), None).is_ok());
        assert!(find(&ProcessLink::default(), None).is_err());
    }

    #[test]
    fn an_absolute_program_has_to_be_there_and_one_in_the_workspace_is_left_open() {
        assert_eq!(find(&link("/bin/sh"), None), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(
            find(&link("/bin/no-such"), None),
            Err("`/bin/no-such` is no file that can be executed".to_owned())
        );
        assert_eq!(find(&link("./build.sh"), None), Ok(PathBuf::from("./build.sh")));
    }
}

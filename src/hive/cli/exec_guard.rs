//! `hive exec-guard`: the hive's own second process for each agent that is a command. Not for people, so neither help nor
//! completions know it, and it begins without reading the command line as they need it.

use std::ffi::OsStr;

use links::guard::{self, Error};

use crate::exit::Exit;
use crate::failure::Failure;

/// Runs as a guard when the words after the program's name say so.
pub(super) fn run(words: &[impl AsRef<OsStr>]) -> Option<Result<Exit, Failure>> {
    let words: Vec<Option<&str>> = words.iter().map(|word| word.as_ref().to_str()).collect();
    let ended = match *words.as_slice() {
        [Some(guard::WORD)] => guard::main(),
        [Some(guard::WORD), Some(guard::SECOND_STAGE)] => guard::second_stage(),
        _ => return None,
    };
    Some(ended.map(|()| Exit::Fine).map_err(|error| match error {
        Error::NoSocket(_) => Failure::usage(error.to_string()),
        _ => Failure::surroundings(&error),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_other_words_are_for_people() {
        for words in
            [&[][..], &["serve"], &["exec-guard", "--help"], &["--second-stage"], &["task", "exec-guard"]]
        {
            assert!(run(words).is_none(), "{words:?}");
        }
    }
}

//! A terminal for programs under test: a pseudo-terminal, and what would be seen on its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use vt100::{Color, Parser};

use crate::PATIENCE;

/// A program at a terminal of its own.
pub struct Terminal {
    /// The program.
    pub child: Child,
    ours: File,
    /// The other side stays open, so that what the program left there can be looked at.
    theirs: OwnedFd,
    seen: Arc<Mutex<Seen>>,
    before: Termios,
}

struct Seen {
    parser: Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts a program at a terminal of so many columns and rows.
    ///
    /// # Errors
    /// When there is no terminal, or the program cannot be started.
    pub fn start(command: &Command, columns: u16, rows: u16) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let open =
            || File::options().read(true).write(true).open(name.to_str()?).map_err(anyhow::Error::from);
        let theirs: OwnedFd = open()?.into();
        tcsetwinsize(&ours, size(columns, rows))?;
        // Makes it the terminal of the program's own session, from which the program hears of its size and its keys.
        let mut started = Command::new("setsid");
        started.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => started.env(name, value),
                None => started.env_remove(name),
            };
        }
        started.stdin(Stdio::from(open()?)).stdout(Stdio::from(open()?)).stderr(Stdio::from(open()?));
        let before = tcgetattr(&theirs)?;
        let child = started.spawn().context("setsid of util-linux")?;
        let parser = Parser::new(nonzero(rows)?, nonzero(columns)?, 0);
        let seen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new() }));
        let ours = File::from(ours);
        let (mut reader, kept) = (ours.try_clone()?, Arc::clone(&seen));
        // Ends with the process of the test: the other side stays open.
        std::thread::Builder::new().spawn(move || {
            let mut bytes = [0; 8_192];
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                let mut seen = kept.lock().unwrap_or_else(PoisonError::into_inner);
                seen.parser.process(&bytes[..length]);
                seen.bytes.extend_from_slice(&bytes[..length]);
            }
        })?;
        Ok(Self { child, ours, theirs, seen, before })
    }

    fn look<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        read(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What stands on the screen; of many blanks in a row one is left.
    #[must_use]
    pub fn screen(&self) -> String {
        let text = self.look(|seen| seen.parser.screen().contents());
        let row = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(row).collect::<Vec<_>>().join("\n")
    }

    /// All that was written so far.
    #[must_use]
    pub fn written(&self) -> String {
        self.look(|seen| String::from_utf8_lossy(&seen.bytes).into_owned())
    }

    /// Waits until the screen is so; answers it.
    ///
    /// # Errors
    /// When it never is, with what stands there.
    pub async fn until(&self, holds: impl Fn(&str) -> bool) -> Result<String> {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return Ok(screen);
            }
            if began.elapsed() > PATIENCE {
                bail!("the screen never came to be as expected; it is\n{screen}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until that stands on the screen; answers it.
    ///
    /// # Errors
    /// When it never does.
    pub async fn shows(&self, words: &str) -> Result<String> {
        self.until(|screen| screen.contains(words)).await.with_context(|| format!("looking for {words:?}"))
    }

    /// Types keys.
    ///
    /// # Errors
    /// When the terminal does not take them.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        Ok(self.ours.write_all(keys.as_bytes())?)
    }

    /// Makes it larger or smaller.
    ///
    /// # Errors
    /// What the system says.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let (rows_there, columns_there) = (nonzero(rows)?, nonzero(columns)?);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).parser.set_size(rows_there, columns_there);
        Ok(tcsetwinsize(&self.ours, size(columns, rows))?)
    }

    /// Whether any letter on the screen has a colour.
    #[must_use]
    pub fn has_color(&self) -> bool {
        self.look(|seen| {
            let screen = seen.parser.screen();
            let (rows, columns) = screen.size();
            (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column))).any(
                |(row, column)| {
                    screen.cell(row, column).is_some_and(|cell| {
                        (cell.fgcolor(), cell.bgcolor()) != (Color::Default, Color::Default)
                    })
                },
            )
        })
    }

    /// Waits for the end of the program; answers its exit code, or `None` when a signal ended it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self) -> Result<Option<i32>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if began.elapsed() > PATIENCE {
                bail!("it does not end:\n{}", self.screen());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all that the program wrote was seen, and says what it left behind that was not so before: nothing, when
    /// it is as it should be.
    ///
    /// # Errors
    /// What the system says.
    pub async fn left_behind(&mut self) -> Result<Vec<&'static str>> {
        const END: &str = "\u{1b}]0;the end\u{7}";
        // What is written behind all that was, is seen behind all that was.
        File::from(self.theirs.try_clone()?).write_all(END.as_bytes())?;
        let began = Instant::now();
        while !self.written().contains(END) {
            anyhow::ensure!(began.elapsed() < PATIENCE, "the terminal is stuck");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = tcgetattr(&self.theirs)?;
        let mut found = Vec::new();
        let modes = |modes: &Termios| (modes.local_modes, modes.input_modes, modes.output_modes);
        if modes(&now) != modes(&self.before) {
            found.push("raw mode");
        }
        self.look(|seen| {
            if seen.parser.screen().alternate_screen() {
                found.push("the other screen");
            }
            if seen.parser.screen().hide_cursor() {
                found.push("a hidden cursor");
            }
        });
        Ok(found)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn nonzero(number: u16) -> Result<NonZeroU16> {
    NonZeroU16::new(number).context("a size above 0")
}

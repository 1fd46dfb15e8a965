//! PostgreSQL for hives under test: one server a run, a schema a hive.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// Set to `postgres`, every hive of the suite that names no database serves from a schema of its own on such a server.
pub const TESTS_ON: &str = "HIVE_TESTS_ON";

/// A schema of its own on the server of this run of the tests, by the URL that leads into it.
///
/// # Errors
/// When there is no server and none can be started; with what to install.
pub fn schema(name: &str) -> Result<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");
    let runner = std::os::unix::process::parent_id().to_string();
    let url = told(Command::new(script).arg(runner).output()?)?;
    let schema = format!("{name}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let create = format!("CREATE SCHEMA {schema}");
    told(Command::new("psql").args([&url, "--quiet", "--command", &create]).output()?)?;
    Ok(format!("{url}?options=-csearch_path%3D{schema}"))
}

/// Runs statements on a database and answers what they print, a line a row.
///
/// # Errors
/// What `psql` says.
pub fn sql(url: &str, statements: &str) -> Result<String> {
    let words =
        ["--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "--command", statements];
    told(Command::new("psql").arg(url).args(words).output()?)
}

/// Runs statements on the database of a hive while it runs, and answers what they print.
///
/// # Errors
/// What `psql` or `sqlite3` says.
pub fn of(hive: &crate::Hive, statements: &str) -> Result<String> {
    match of_folder(hive.folder())? {
        Some(url) => sql(&url, statements),
        None => {
            let database = hive.folder().join("hive.db");
            let mut shell = Command::new("sqlite3");
            shell.args(["-cmd", ".timeout 20000"]).arg(database).arg(statements);
            told(shell.output().context("install sqlite3: this test changes a database with it")?)
        }
    }
}

/// Which database the hives of this run have.
#[must_use]
pub fn kind() -> &'static str {
    if is_postgres() { "postgresql" } else { "sqlite" }
}

fn is_postgres() -> bool {
    std::env::var_os(TESTS_ON).is_some_and(|on| on == "postgres")
}

/// The database of a data folder, where the whole suite runs on PostgreSQL; the same one each time.
pub(crate) fn of_folder(folder: &Path) -> Result<Option<String>> {
    if !is_postgres() {
        return Ok(None);
    }
    let note = folder.with_extension("database");
    if let Ok(url) = std::fs::read_to_string(&note) {
        return Ok(Some(url));
    }
    let url = schema("suite")?;
    std::fs::write(&note, &url)?;
    Ok(Some(url))
}

/// What a program that ended well wrote.
fn told(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A server of this process alone, which may be stopped and started; it ends with the process.
pub struct Server {
    /// Where it is: over a socket, or over TCP where it speaks TLS.
    pub url: String,
    /// Its folder; with `ca.crt` and `other.crt`, of an authority that has signed nothing, where it speaks TLS.
    pub folder: PathBuf,
}

impl Server {
    /// Starts one that is reached by a socket.
    ///
    /// # Errors
    /// When it does not start; with what to install.
    pub fn start() -> Result<Self> {
        let url = script(&[])?;
        let (_, rest) = url.split_once('@').context("a URL")?;
        let folder = rest.split_once('/').context("a URL")?.0.replace("%2F", "/");
        Ok(Self { url, folder: folder.into() })
    }

    /// Starts one that listens on 127.0.0.1 and speaks TLS, with a certificate for `localhost`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with_tls() -> Result<Self> {
        let said = script(&["tls"])?;
        let (url, folder) = said.split_once('\n').context("a URL and a folder")?;
        Ok(Self { url: url.to_owned(), folder: folder.into() })
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// When it does not end.
    pub fn crash(&self) -> Result<()> {
        script(&["stop"]).map(|_| ())
    }

    /// Starts it again after a crash.
    ///
    /// # Errors
    /// When it does not start.
    pub fn recover(&self) -> Result<()> {
        script(&["start"]).map(|_| ())
    }
}

/// A way to a database over which answers get lost: while that is asked for, each connection of a hive's writer is cut once
/// the server has committed and before its answer arrives.
pub struct LossyWay {
    /// Leads over it.
    pub url: String,
    loses: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl LossyWay {
    /// A way to a database that is reached by a socket. Nothing is lost until that is asked for.
    ///
    /// # Errors
    /// When the URL names no socket, or none can be made.
    pub fn to(url: &str) -> Result<Self> {
        let (user, rest) = url.split_once('@').context("a user")?;
        let (host, rest) = rest.split_once('/').context("a database")?;
        let server = PathBuf::from(host.replace("%2F", "/")).join(SOCKET);
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(folder.path().join(SOCKET))?;
        let loses = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&loses);
        std::thread::Builder::new().spawn(move || {
            for client in listener.incoming() {
                // A server that is not there just now: the client finds its connection closed.
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else { continue };
                let _ = join(client, server, &flag);
            }
        })?;
        let host = folder.path().to_string_lossy().replace('/', "%2F");
        Ok(Self { url: format!("{user}@{host}/{rest}"), loses, _folder: folder })
    }

    /// From now on each answer to a COMMIT of a writer is lost, or none.
    pub fn lose(&self, loses: bool) {
        self.loses.store(loses, Ordering::SeqCst);
    }
}

/// The socket of a server in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// Carries what either side sends to the other; a writer says who it is in its first words.
fn join(mut client: UnixStream, mut server: UnixStream, loses: &Arc<AtomicBool>) -> Result<()> {
    let mut first = vec![0; 1 << 16];
    let count = client.read(&mut first)?;
    let first = first.get(..count).context("words")?;
    let is_writer = first.windows(WRITER.len()).any(|window| window == WRITER);
    server.write_all(first)?;
    carry(client.try_clone()?, server.try_clone()?, |_| false)?;
    let loses = Arc::clone(loses);
    carry(server, client, move |bytes| {
        is_writer && loses.load(Ordering::SeqCst) && bytes.windows(7).any(|window| window == b"COMMIT\0")
    })
}

/// What the connection of a hive's writer calls itself.
const WRITER: &[u8] = b"hive writer";

fn carry(
    mut from: UnixStream,
    mut to: UnixStream,
    is_lost: impl Fn(&[u8]) -> bool + Send + 'static,
) -> Result<()> {
    std::thread::Builder::new().spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let piece = bytes.get(..count).unwrap_or_default();
            if is_lost(piece) || to.write_all(piece).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    })?;
    Ok(())
}

/// `tests/postgres` about the server of this process.
fn script(words: &[&str]) -> Result<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");
    let mut command = Command::new(script);
    command.arg(std::process::id().to_string()).args(words).env_remove("HIVE_TEST_POSTGRES_URL");
    told(command.output()?)
}

//! Tests of the composition: a hive inside this process, on a free port and a folder of its own.

use std::path::Path;

use super::*;
use crate::settings::Flags;

fn settings(folder: &Path, bind: &str) -> Settings {
    let flags = Flags { data_dir: Some(folder.into()), bind: Some(bind.into()), ..Flags::default() };
    let vars = [("HIVE__DRAIN__TIMEOUT_S".to_owned(), "1".to_owned())];
    Settings::load(&flags, vars.into_iter()).unwrap()
}

fn refusal(started: Result<Running, Failure>) -> Failure {
    match started {
        Ok(_) => panic!("it started"),
        Err(failure) => failure,
    }
}

#[actix_web::test]
async fn a_hive_serves_its_own_folder_and_ends_without_a_trace_but_its_data() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("hive-data");
    let running = start(settings(&folder, "127.0.0.1:0")).await.unwrap();
    assert!(running.folder.is_new);
    let announced = ServerFile::read(&folder).unwrap();
    assert_eq!(announced, ServerFile::of(running.addr));
    let client = client::Client::new(&announced.url, Some(running.admin_token.reveal())).unwrap();
    client.ready().await.unwrap();
    assert_eq!(client.system().await.unwrap().tasks.total, 0);
    let task = protocol::SubmitTask { title: "t".into(), ..Default::default() };
    client.submit(&task, None).await.unwrap();
    drop(client);
    let report = running.shutdown().await;
    assert_eq!(report.late, Vec::<std::sync::Arc<str>>::new());
    assert_eq!(ServerFile::read(&folder), None);

    let again = start(settings(&folder, "127.0.0.1:0")).await.unwrap();
    assert_eq!(Banner::of(&again, "hive", false).found, "1 task found");
    again.shutdown().await;
}

#[actix_web::test]
async fn a_taken_port_is_told_and_leaves_no_folder_behind() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("hive-data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let failure = refusal(start(settings(&folder, &bind)).await);
    assert_eq!(failure.exit, Exit::Environment);
    assert!(failure.message.contains("is taken by another program"), "{failure}");
    assert!(!folder.exists());
}

#[actix_web::test]
async fn a_folder_in_use_is_told_with_who_uses_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("hive-data");
    let first = start(settings(&folder, "127.0.0.1:0")).await.unwrap();
    let failure = refusal(start(settings(&folder, "127.0.0.1:0")).await);
    assert_eq!(failure.exit, Exit::Environment);
    assert!(failure.message.contains("is in use by another hive"), "{failure}");
    assert!(failure.hint.unwrap().contains(&first.url));
    let failure = refusal(start(settings(&folder, &first.addr.to_string())).await);
    assert!(failure.message.contains("the hive of this data folder serves there already"), "{failure}");
    first.shutdown().await;
}

#[actix_web::test]
async fn a_folder_that_cannot_be_written_is_told_with_its_path() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    let failure = refusal(start(settings(&file.join("hive-data"), "127.0.0.1:0")).await);
    assert_eq!(failure.exit, Exit::Environment);
    assert!(failure.message.contains(&file.display().to_string()), "{failure}");
}

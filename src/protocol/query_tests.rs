//! What query parameters mean, and what they refuse.

use super::*;

fn given(text: &str) -> Pairs {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap())
        .collect()
}

fn refused(unreadable: Unreadable) -> Vec<String> {
    match unreadable {
        Unreadable::UnknownField(Violations(found)) | Unreadable::InvalidValue(Violations(found)) => {
            found.into_iter().map(|violation| violation.field).collect()
        }
        Unreadable::Malformed(why) => vec![why],
    }
}

#[test]
fn what_a_client_writes_is_what_the_hive_reads() {
    let query = TaskQuery {
        state: Some(TaskState::Failed),
        queue: Some("q".parse().unwrap()),
        agent_id: Some(AgentId::from_raw(1)),
        kind: Some("k".parse().unwrap()),
        label: vec![("a".parse().unwrap(), "x=y:z".into()), ("b".parse().unwrap(), String::new())],
        created_after: Some(Timestamp::from_micros(1)),
        created_before: Some(Timestamp::from_micros(2)),
        limit: Some(200),
        cursor: Some(TaskId::from_raw(3)),
    };
    assert_eq!(TaskQuery::read(query.pairs()), Ok(query));
    let query = EventQuery { after: Some(0), limit: Some(1), cursor: None };
    assert_eq!(EventQuery::read(query.pairs()), Ok(query));
    let query = PageQuery { limit: None, cursor: Some("c".into()) };
    assert_eq!(PageQuery::read(query.pairs()), Ok(query.clone()));
    assert_eq!(query.limit(), 50);
    let place = OutputPlace { attempt: 2, chunk: 17 };
    let query = OutputQuery { limit: None, cursor: Some(place), follow: true };
    assert_eq!(OutputQuery::read(query.pairs()), Ok(query));
}

#[test]
fn output_is_followed_without_pages() {
    assert!(OutputQuery::read(given("follow=true&cursor=1.2")).unwrap().follow);
    assert!(!OutputQuery::read(given("follow=false&limit=5")).unwrap().follow);
    assert_eq!(refused(OutputQuery::read(given("follow=true&limit=5")).unwrap_err()), ["limit"]);
    assert_eq!(refused(OutputQuery::read(given("follow=yes&cursor=x")).unwrap_err()), ["cursor", "follow"]);
}

#[test]
fn an_unknown_parameter_is_refused_by_its_name() {
    assert!(matches!(TaskQuery::read(given("bogus=1&limit=0")), Err(Unreadable::UnknownField(_))));
    assert_eq!(refused(TaskQuery::read(given("bogus=1&limit=0")).unwrap_err()), ["limit", "bogus"]);
    assert!(TaskQuery::read_in_state(given("state=failed"), TaskState::Failed).is_err());
    assert!(read_none(given("x=1")).is_err());
    assert_eq!(read_none(vec![]), Ok(()));
}

#[test]
fn every_broken_parameter_is_told_at_once() {
    let text =
        "state=done&queue=Q&agent_id=1&kind=K&label=x&created_after=1&created_before=x&limit=201&cursor=c";
    let broken = TaskQuery::read(given(text)).unwrap_err();
    assert!(matches!(broken, Unreadable::InvalidValue(_)));
    assert_eq!(
        refused(broken),
        ["queue", "state"]
            .iter()
            .rev()
            .chain(&["agent_id", "kind", "label", "created_after", "created_before", "limit", "cursor"])
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    );
    assert_eq!(refused(TaskQuery::read(given("queue=a&queue=b")).unwrap_err()), ["queue"]);
    assert_eq!(refused(EventQuery::read(given("after=-1")).unwrap_err()), ["after"]);
    assert_eq!(refused(EventQuery::read(given("after=1&cursor=2")).unwrap_err()), ["cursor"]);
}

#[test]
fn a_label_is_read_with_either_sign() {
    let query = TaskQuery::read(given("label=a:b")).unwrap();
    assert_eq!(query.label, [("a".parse().unwrap(), "b".to_owned())]);
}

#[test]
fn a_session_may_name_its_topics_its_place_and_that_it_wants_to_be_closed() {
    let read = |text: &str| SessionQuery::read(given(text));
    assert_eq!(read(""), Ok(SessionQuery::default()));
    let all = read("subscriptions=tasks,, agents&resume=e:7&strict=true&access_token=t").unwrap();
    let topics = ["tasks", "", " agents"].map(str::to_owned).to_vec();
    let place = Place { epoch: "e".into(), offset: 7 };
    assert_eq!(all, SessionQuery { subscriptions: Some(topics), resume: Some(place), strict: true });
    assert_eq!(read("subscriptions= ").unwrap().subscriptions, Some(vec![]), "none");
    for (bad, field) in [
        ("strict=yes", "strict"),
        ("strict=true&strict=true", "strict"),
        ("access_token=a&access_token=b", "access_token"),
        ("subscriptions=tasks&subscriptions=agents", "subscriptions"),
        ("resume=7", "resume"),
        ("topics=tasks", "topics"),
    ] {
        assert_eq!(refused(read(bad).unwrap_err()), [field], "{bad}");
    }
}

#[test]
fn a_broadcast_goes_to_a_topic_and_has_a_word() {
    let read = |text: &str| BroadcastQuery::read(given(text));
    let usual = BroadcastQuery { subscription: Root::System, message_type: "notice".into() };
    assert_eq!(read(""), Ok(usual));
    let named = BroadcastQuery { subscription: Root::ProjectIndex, message_type: "a_1".into() };
    assert_eq!(read("subscription=project_index&message_type=a_1"), Ok(named));
    let long = format!("message_type={}", "a".repeat(65));
    for (bad, field) in [
        ("subscription=Tasks", "subscription"),
        ("message_type=1a", "message_type"),
        ("message_type=", "message_type"),
        (&*long, "message_type"),
        ("message_type=a&message_type=b", "message_type"),
        ("to=tasks", "to"),
    ] {
        assert_eq!(refused(read(bad).unwrap_err()), [field], "{bad}");
    }
}

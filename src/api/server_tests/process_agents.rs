//! Agents that are processes: who may make them, what is checked, and what never comes back.

use domain::{AgentId, TenantId};

use super::*;

const SECRET: &str = "hunter2-swordfish";

impl Hive {
    async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.ask(Method::PATCH, path).json(&body).send().await.unwrap()).await
    }

    async fn agent_with(&self, name: &str, link: Value) -> (u16, Value) {
        self.post("/api/v2/agents", json!({"name": name, "link": link})).await
    }

    /// A value of the environment as it is stored.
    async fn stored_env(&self, id: &str, name: &str) -> Option<String> {
        let id: AgentId = id.parse().unwrap();
        let agent = self.store.readers.agent(TenantId::DEFAULT, id).await.unwrap().unwrap();
        let link = agent.asked.link.process().unwrap().clone();
        link.env.get(name).map(|value| value.reveal().to_owned())
    }
}

fn cat() -> Value {
    json!({"kind": "process", "command": ["cat"]})
}

fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn only_an_admin_makes_or_steers_a_process_agent_or_removes_workspaces() {
    let hive = Hive::start(ApiSettings::default()).await;
    let operator = hive.key("operator").await;
    let (status, agent) = hive.agent_with("cat", cat()).await;
    assert_eq!(status, 201, "{agent}");
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().unwrap());
    let under = |verb: &str| format!("{path}/{verb}");
    let refused = [
        (Method::POST, "/api/v2/agents".to_owned(), json!({"name": "mine", "link": cat()})),
        (Method::PATCH, path.clone(), json!({"link": {"timeout_ms": 5}})),
        (Method::PATCH, path.clone(), json!({"labels": {"a": "b"}})),
        (Method::POST, under("drain"), json!({})),
        (Method::POST, under("resume"), json!({})),
        (Method::POST, under("restart"), json!({})),
        (Method::DELETE, path.clone(), json!({})),
        (Method::POST, "/api/v2/workspaces/prune".to_owned(), json!({})),
    ];
    for (method, path, body) in refused {
        let (status, problem) = hive.with(&operator, method, &path, body).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{path}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("the role admin") && detail.contains("yours is operator"), "{detail}");
    }
    let (_, agents) = hive.get("/api/v2/agents").await;
    assert_eq!(agents["items"], json!([agent]), "nothing was made and nothing changed");
    let worker = hive.worker("worker", 1).await;
    let worker = format!("/api/v2/agents/{worker}");
    let allowed = [
        (Method::POST, "/api/v2/agents".to_owned(), json!({"name": "own"}), 201),
        (Method::PATCH, worker.clone(), json!({"capacity": 2}), 200),
        (Method::POST, format!("{worker}/drain"), json!({}), 200),
        (Method::POST, format!("{worker}/resume"), json!({}), 200),
        (Method::POST, format!("{worker}/restart"), json!({}), 200),
        (Method::DELETE, worker, json!({}), 204),
        (Method::GET, path.clone(), json!({}), 200),
        (Method::GET, "/api/v2/workspaces".to_owned(), json!({}), 200),
    ];
    for (method, path, body, expected) in allowed {
        let (status, answer) = hive.with(&operator, method, &path, body).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
}

#[actix_web::test]
async fn a_patch_changes_what_it_names_of_a_link_and_keeps_the_environment() {
    let hive = Hive::start(ApiSettings::default()).await;
    let link = json!({"kind": "process", "command": ["cat"], "env": {"KEY": SECRET}, "timeout_ms": 1_000,
        "limits": {"open_files": 64}});
    let (status, agent) = hive.agent_with("cat", link).await;
    assert_eq!(status, 201, "{agent}");
    let (id, path) =
        (agent["id"].as_str().unwrap(), format!("/api/v2/agents/{}", agent["id"].as_str().unwrap()));
    let (status, changed) = hive.patch(&path, json!({"link": {"timeout_ms": 9, "args": ["-u"]}})).await;
    assert_eq!(status, 200, "{changed}");
    let mut expected = agent["link"].clone();
    expected["timeout_ms"] = json!(9);
    expected["args"] = json!(["-u"]);
    assert_eq!(changed["link"], expected);
    assert_eq!(hive.stored_env(id, "KEY").await.as_deref(), Some(SECRET), "what is not named stays");
    let (_, changed) = hive.patch(&path, json!({"link": {"env": {"OTHER": "1"}}})).await;
    assert_eq!(changed["link"]["env_names"], json!(["OTHER"]), "what is named is all of it");
    assert_eq!(hive.stored_env(id, "KEY").await, None);
    for (body, field) in [
        (json!({"link": {"kind": "worker"}}), "link.kind"),
        (json!({"link": {"preset": "shell"}}), "link.preset"),
        (json!({"link": {"command": ["/nowhere/agent"]}}), "link.command"),
        (json!({"link": {"cwd": "src"}}), "link.cwd"),
    ] {
        let (status, problem) = hive.patch(&path, body).await;
        assert_eq!((status, fields(&problem)), (422, vec![field]), "{problem}");
    }
    let worker = hive.worker("worker", 1).await;
    let (status, problem) =
        hive.patch(&format!("/api/v2/agents/{worker}"), json!({"link": {"timeout_ms": 9}})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["link"]), "{problem}");
}

#[actix_web::test]
async fn patches_at_the_same_time_add_up() {
    let hive = Hive::start(ApiSettings::default()).await;
    let link = json!({"kind": "process", "command": ["cat"], "env": {"KEY": "old"}, "timeout_ms": 1});
    let (_, agent) = hive.agent_with("cat", link).await;
    let id = agent["id"].as_str().unwrap();
    let path = format!("/api/v2/agents/{id}");
    for round in 0..20 {
        let key = format!("key {round}");
        let (one, two, three) = tokio::join!(
            hive.patch(&path, json!({"link": {"env": {"KEY": key}}})),
            hive.patch(&path, json!({"link": {"timeout_ms": 10 + round}})),
            hive.patch(&path, json!({"capacity": 2 + round})),
        );
        assert_eq!((one.0, two.0, three.0), (200, 200, 200));
        let (_, now) = hive.get(&path).await;
        assert_eq!((&now["link"]["timeout_ms"], &now["capacity"]), (&json!(10 + round), &json!(2 + round)));
        assert_eq!(hive.stored_env(id, "KEY").await, Some(key), "a key that was replaced does not come back");
    }
}

#[actix_web::test]
async fn a_program_that_is_not_there_and_a_preset_that_is_none_are_named() {
    let hive = Hive::start(ApiSettings::default()).await;
    let (status, problem) =
        hive.agent_with("a", json!({"kind": "process", "command": ["no-such-program-here"]})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["link.command"]), "{problem}");
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("no-such-program-here"), "{problem}");
    let (status, problem) = hive.agent_with("a", json!({"kind": "process", "preset": "robot"})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["link.preset"]), "{problem}");
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("claude-code"), "{problem}");
}

#[actix_web::test]
async fn a_directory_is_for_one_attempt_at_a_time_also_after_a_patch() {
    let hive = Hive::start(ApiSettings::default()).await;
    let directory = json!({"kind": "directory", "path": "/tmp"});
    let mut link = cat();
    link["workspace"] = directory.clone();
    let body = json!({"name": "shared", "capacity": 2, "link": link});
    let (status, problem) = hive.post("/api/v2/agents", body).await;
    assert_eq!((status, fields(&problem)), (422, vec!["capacity"]), "{problem}");
    let (_, agent) = hive.agent_with("alone", link).await;
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().unwrap());
    let (status, problem) = hive.patch(&path, json!({"capacity": 2})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["capacity"]), "{problem}");
    let both = json!({"capacity": 2, "link": {"workspace": {"kind": "none"}}});
    assert_eq!(hive.patch(&path, both).await.0, 200, "without the directory it may");
    let (status, problem) = hive.patch(&path, json!({"link": {"workspace": directory}})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["capacity"]), "{problem}");
}

#[actix_web::test]
async fn values_of_an_environment_are_in_no_answer() {
    let hive = Hive::start(ApiSettings::default()).await;
    let link = json!({"kind": "process", "command": ["cat"], "env": {"KEY": SECRET}});
    let (_, agent) = hive.agent_with("cat", link.clone()).await;
    assert_eq!(agent["link"]["env_names"], json!(["KEY"]));
    assert!(agent["link"].get("env").is_none(), "{agent}");
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().unwrap());
    let mut broken = link.clone();
    broken["command"] = json!(["no-such-program-here"]);
    let answers = [
        agent,
        hive.agent_with("cat", link).await.1,
        hive.agent_with("other", broken).await.1,
        hive.agent_with("other", json!({"kind": "process", "env": SECRET})).await.1,
        hive.agent_with("other", json!({"kind": "process", "env": {"A B": SECRET}})).await.1,
        hive.agent_with("other", json!({"kind": "process", "command": ["cat"], "env": {"A": [SECRET]}}))
            .await
            .1,
        hive.get(&path).await.1,
        hive.get("/api/v2/agents").await.1,
        hive.get("/api/v2/events").await.1,
        hive.patch(&path, json!({"link": {"env": {"KEY": SECRET}}})).await.1,
        hive.patch(&path, json!({"link": {"env": {"KEY": format!("{SECRET}\0")}}})).await.1,
        hive.get("/api/v2/openapi.json").await.1,
    ];
    for answer in answers {
        assert!(!answer.to_string().contains("hunter2"), "{answer}");
    }
}

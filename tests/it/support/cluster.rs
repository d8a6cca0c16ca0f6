//! Three RabbitMQ nodes of the tests' own that are one broker.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::rabbit::{Erlang, Rabbit};

/// How long a member may take to catch up that was away for seconds.
const CATCH_UP: Duration = Duration::from_secs(60);

/// The cluster. Gone when the test process is.
pub struct Cluster {
    nodes: Vec<Rabbit>,
}

impl Cluster {
    /// Starts the nodes and joins them. `None`, loudly, where there is no RabbitMQ here.
    pub fn start() -> Option<Self> {
        let erlang = Erlang::start("cluster")?;
        // The first one to start writes the cookie, which the others read.
        let nodes = Vec::from(["one", "two", "three"].map(|name| Rabbit::beside(&erlang, name)));
        for node in &nodes[1..] {
            node.join(&nodes[0]);
        }
        Some(Self { nodes })
    }

    /// All of them.
    pub fn nodes(&self) -> &[Rabbit] {
        &self.nodes
    }

    /// One of them, to be killed and booted.
    pub fn node(&mut self, number: usize) -> &mut Rabbit {
        &mut self.nodes[number]
    }

    /// The number of the node that leads a quorum queue.
    pub fn leader_of(&self, queue: &str) -> usize {
        let members = members(&self.nodes[0], queue);
        assert_eq!(members.len(), self.nodes.len(), "members of {queue}: {members:?}");
        let leads = |node: &Rabbit| members.iter().any(|it| it["Raft State"] == "leader" && is_on(it, node));
        self.nodes.iter().position(leads).unwrap_or_else(|| panic!("nobody leads {queue}: {members:?}"))
    }

    /// Waits until a node has everything of a queue that the others had when this was called.
    #[track_caller]
    pub fn wait_until_in_sync(&self, number: usize, queue: &str) {
        let node = &self.nodes[number];
        let index = |member: &Value, name: &str| member[name].as_u64().unwrap_or_default();
        let goal = members(node, queue).iter().map(|member| index(member, "Commit Index")).max();
        let deadline = Instant::now() + CATCH_UP;
        loop {
            let members = members(node, queue);
            let there = members.iter().find(|member| is_on(member, node)).map(|member| index(member, "Commit Index"));
            if there >= goal {
                break;
            }
            assert!(Instant::now() < deadline, "{} is not in sync: {members:?}", node.name());
        }
    }
}

/// What each member says of itself, as one of them hears it.
fn members(asked: &Rabbit, queue: &str) -> Vec<Value> {
    let text = asked.tool("rabbitmq-queues", &["quorum_status", queue, "--formatter", "json"]);
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {text}"))
}

fn is_on(member: &Value, node: &Rabbit) -> bool {
    member["Node Name"] == node.name()
}

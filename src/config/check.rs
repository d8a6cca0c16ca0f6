//! Checks single keys and their combinations. A worker with a configuration that would fail later does not start.

mod buckets;
mod gateway;
mod logins;
mod tiers;

use url::Url;

use super::http_url::is_bare_http;
use super::layer::{Place, Places};
use super::{Broker, Config, ConfigErrors, Limits, Source, Store, Worker, log_filter};

/// Fewest deliveries before a message counts as one that kills workers.
const MIN_DELIVERY_LIMIT: u32 = 5;
/// Most slots: more than any machine has CPUs, and few enough for a typing error to be found.
const MAX_SLOTS: usize = 1024;

/// Adds everything that is wrong with `config` to `errors`.
pub(super) fn check(config: &Config, places: &Places, errors: &mut ConfigErrors) {
    let mut checker = Checker { places, errors };
    checker.broker(&config.broker);
    checker.store(&config.store);
    checker.tiers(config);
    checker.buckets(config);
    checker.source(&config.source);
    checker.limits(&config.limits);
    checker.worker(&config.worker);
    checker.deadlines(config);
    for (name, channel) in &config.channels {
        for (key, problem) in channel.problems() {
            let key = format!("channels.{name}.{key}");
            // A value that was refused where it stands is not missed here as well.
            if !checker.errors.concern(&key) {
                checker.wrong(&key, &problem);
            }
        }
    }
    for (key, problem) in config.links.problems().into_iter().chain(config.catalog.problems()) {
        if !checker.errors.concern(key) {
            checker.wrong(key, &problem);
        }
    }
    for (key, problem) in config.privacy.problems() {
        checker.wrong(&format!("privacy.{key}"), &problem);
    }
    for (name, tenant) in &config.tenants {
        for (key, problem) in tenant.problems() {
            checker.wrong(&format!("tenants.{name}.{key}"), &problem);
        }
    }
    for (name, access) in &config.access {
        for (key, problem) in access.problems() {
            checker.wrong(&format!("access.{name}.{key}"), &problem);
        }
    }
    checker.logins(config);
    for (key, problem) in config.ledger.problems() {
        checker.wrong(&format!("ledger.{key}"), &problem);
    }
    for (name, destination) in &config.deliver {
        for (key, problem) in destination.problems() {
            let key = format!("deliver.{name}.{key}");
            if !checker.errors.concern(&key) {
                checker.wrong(&key, &problem);
            }
        }
    }
    if let Err(problem) = log_filter::check(&config.log.filter) {
        checker.wrong("log.filter", &problem);
    }
    let listen = &config.http.listen;
    let listen_ok = listen.is_empty() || listen.parse::<std::net::SocketAddr>().is_ok();
    checker.expect(listen_ok, "http.listen", "must be an IP address and a port, such as 0.0.0.0:9464, or empty");
    checker.gateway(&config.gateway);
    checker.forward(config);
    let endpoint = &config.traces.endpoint;
    let endpoint_ok = endpoint.is_empty() || is_bare_http(endpoint);
    checker.expect(
        endpoint_ok,
        "traces.endpoint",
        "must be an http:// or https:// URL without password and query, or empty",
    );
}

struct Checker<'a> {
    places: &'a Places,
    errors: &'a mut ConfigErrors,
}

impl Checker<'_> {
    fn wrong(&mut self, key: &str, problem: &str) {
        self.errors.push(self.places.of(key), format!("{key}: {problem}"));
    }

    fn expect(&mut self, holds: bool, key: &str, problem: &str) {
        if !holds {
            self.wrong(key, problem);
        }
    }

    /// As [`Checker::expect`], where it takes several keys to be wrong: the mistake stands where one of them was set. The
    /// first key names it.
    fn expect_together(&mut self, holds: bool, keys: &[&str], problem: &str) {
        if !holds {
            let set = keys.iter().copied().find(|key| self.places.of(key) != Place::Default);
            let place = self.places.of(set.unwrap_or(keys[0]));
            self.errors.push(place, format!("{}: {problem}", keys[0]));
        }
    }

    fn positive(&mut self, keys: &[(&str, u64)]) {
        for (key, value) in keys {
            self.expect(*value > 0, key, "must be more than 0");
        }
    }

    fn broker(&mut self, broker: &Broker) {
        let scheme = Url::parse(&broker.url.expose()).map(|url| url.scheme().to_owned()).unwrap_or_default();
        self.expect(scheme == "amqp" || scheme == "amqps", "broker.url", "must be an amqp:// or amqps:// URL");
        let node_ok = |node: &String| Url::parse(&format!("amqp://{node}")).is_ok_and(|url| is_host_and_port(&url));
        let problem = "every entry is host:port, without scheme, user or path";
        self.expect(broker.nodes.iter().all(node_ok), "broker.nodes", problem);
        let exchange_ok = !broker.exchange.is_empty() && !broker.exchange.starts_with("amq.");
        self.expect(exchange_ok, "broker.exchange", "must have a name outside amq.*, which RabbitMQ keeps for itself");
        let delays_ok = broker.retry_delays_s.iter().all(|&delay| delay > 0);
        self.expect(delays_ok, "broker.retry_delays_s", "every delay must be more than 0");
        // Below that, what happens to any message (a restart, a lost connection) would be taken for its own fault.
        let problem = format!("must be at least {MIN_DELIVERY_LIMIT}");
        self.expect(broker.delivery_limit >= MIN_DELIVERY_LIMIT, "broker.delivery_limit", &problem);
        self.positive(&[
            ("broker.ack_timeout_s", broker.ack_timeout_s),
            ("broker.confirm_timeout_s", broker.confirm_timeout_s),
            ("broker.connect_timeout_s", broker.connect_timeout_s),
            ("broker.heartbeat_s", broker.heartbeat_s.into()),
            ("broker.reconnect_min_ms", broker.reconnect_min_ms),
        ]);
        let ordered = broker.reconnect_min_ms <= broker.reconnect_max_ms;
        let keys = ["broker.reconnect_max_ms", "broker.reconnect_min_ms"];
        self.expect_together(ordered, &keys, "must not be below broker.reconnect_min_ms");
    }

    fn store(&mut self, store: &Store) {
        for (keys, problem) in super::store::problems(store) {
            self.expect_together(false, keys, &problem);
        }
        self.positive(&[
            ("store.connect_timeout_s", store.connect_timeout_s),
            ("store.attempt_timeout_s", store.attempt_timeout_s),
            ("store.operation_timeout_s", store.operation_timeout_s),
            ("store.max_attempts", store.max_attempts.into()),
        ]);
    }

    fn source(&mut self, source: &Source) {
        let absolute = source.file_roots.iter().all(|root| root.is_absolute());
        self.expect(absolute, "source.file_roots", "every directory must be absolute");
        let bare = |host: &String| !host.is_empty() && !host.contains(['/', '@', ' ']);
        let hosts_ok = source.http_allow_hosts.iter().all(bare);
        self.expect(hosts_ok, "source.http_allow_hosts", "every entry is a name or name:port, without scheme or path");
        self.positive(&[
            ("source.connect_timeout_s", source.connect_timeout_s),
            ("source.read_timeout_s", source.read_timeout_s),
            ("source.total_timeout_s", source.total_timeout_s),
            ("source.min_rate_window_s", source.min_rate_window_s),
        ]);
    }

    fn limits(&mut self, limits: &Limits) {
        self.positive(&[
            ("limits.input_bytes", limits.input_bytes),
            ("limits.pixels", limits.pixels),
            ("limits.duration_s", limits.duration_s),
            ("limits.streams", limits.streams.into()),
            ("limits.wall_s", limits.wall_s),
            ("limits.cpu_s", limits.cpu_s),
            ("limits.memory_bytes", limits.memory_bytes),
            ("limits.output_bytes", limits.output_bytes),
            ("limits.scratch_bytes", limits.scratch_bytes),
        ]);
    }

    fn worker(&mut self, worker: &Worker) {
        let problem = format!("must be at most {MAX_SLOTS}");
        self.expect(worker.slots <= MAX_SLOTS, "worker.slots", &problem);
        self.expect(worker.fetches <= 16 * MAX_SLOTS, "worker.fetches", &format!("must be at most {}", 16 * MAX_SLOTS));
        let starved = worker.slots > 1 && worker.audio_slots >= worker.slots;
        let keys = ["worker.audio_slots", "worker.slots"];
        self.expect_together(!starved, &keys, "must be below worker.slots, or nothing but audio is ever done");
        let (most, floor) = (worker.scratch_max_bytes, worker.scratch_min_free_bytes);
        let problem = "must be above worker.scratch_min_free_bytes, or no job ever starts; 0 is the whole file system";
        self.expect(most == 0 || most > floor, "worker.scratch_max_bytes", problem);
        self.expect(!worker.profile.is_empty(), "worker.profile", "must name a profile");
        self.expect(!worker.event_source.is_empty(), "worker.event_source", "must not be empty (CloudEvents)");
    }

    /// RabbitMQ closes the channel of a consumer that holds a message for longer than its timeout.
    fn deadlines(&mut self, config: &Config) {
        let (source_s, store_s) = (config.source.total_timeout_s, config.store.operation_timeout_s);
        let job_s = config.limits.wall_s.saturating_add(source_s).saturating_add(store_s);
        // What a job has of it, as in the pipeline's deadline.
        let deadline_s = config.broker.ack_timeout_s / 10 * 9;
        let problem = "must be below nine tenths of broker.ack_timeout_s, together with source.total_timeout_s and \
                       store.operation_timeout_s: RabbitMQ takes the message back from a slower worker";
        let keys = ["limits.wall_s", "source.total_timeout_s", "store.operation_timeout_s", "broker.ack_timeout_s"];
        self.expect_together(job_s < deadline_s, &keys, problem);
    }
}

fn is_host_and_port(url: &Url) -> bool {
    let more = [url.path(), url.username(), url.query().unwrap_or_default(), url.fragment().unwrap_or_default()];
    url.has_host() && url.port().is_some() && url.password().is_none() && more.iter().all(|part| part.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    fn problem(flags: &[(&str, &str)]) -> String {
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(None, [], &flags).map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    fn impossible_values_are_refused_by_key() {
        let wrong: &[&[(&str, &str)]] = &[
            &[("broker.url", "http://127.0.0.1")],
            &[("broker.nodes", "rabbit-2")],
            &[("broker.nodes", "rabbit-2:5672,amqp://rabbit-3:5672")],
            &[("broker.nodes", "u:p@rabbit-2:5672")],
            &[("broker.nodes", "rabbit-2:5672/vhost")],
            &[("broker.exchange", "")],
            &[("broker.retry_delays_s", "10,0")],
            &[("broker.reconnect_max_ms", "1")],
            &[("store.url", "ftp://host/x")],
            &[("store.url", "s3:///prefix")],
            &[("store.endpoint", "127.0.0.1:9000")],
            &[("store.access_key_id", "a")],
            &[("store.sse", "kms")],
            &[("store.sse_kms_key_id", "k")],
            &[("store.checksums", "md5")],
            &[("store.multipart_bytes", "1000")],
            &[("source.file_roots", "relative")],
            &[("source.http_allow_hosts", "https://x")],
            &[("limits.wall_s", "1600")],
            // Below the time-out itself, and not below what a job has of it.
            &[("limits.wall_s", "1100")],
            &[("broker.delivery_limit", "1")],
            &[("worker.slots", "999999999")],
            &[("worker.fetches", "999999999")],
            &[("limits.pixels", "0")],
            &[("worker.audio_slots", "2"), ("worker.slots", "2")],
            &[("worker.scratch_max_bytes", "268435456")],
            &[("http.listen", "localhost:9464")],
            &[("traces.endpoint", "127.0.0.1:4318")],
            &[("traces.endpoint", "https://u:p@collector:4318")],
            &[("log.filter", "a=b=c")],
            &[("log.filter", "in fo=")],
            &[("source.min_rate_window_s", "0")],
            &[("gateway.listen", "gateway:8080")],
            &[("gateway.tls_key", "key.pem")],
            &[("gateway.public_url", "gw.example.test")],
            &[("gateway.public_url", "https://gw.example.test/")],
            &[("gateway.body_bytes", "10")],
            &[("gateway.memory_bytes", "1000000")],
            &[("gateway.connections", "0")],
            &[("gateway.publish_timeout_s", "0")],
            &[("catalog.listen", "catalog:8081")],
            &[("catalog.tls_key", "key.pem")],
            &[("catalog.url", "mysql://h/d")],
            &[("catalog.connections", "0")],
            &[("catalog.batch", "0")],
            &[("catalog.jwt_key", "short")],
            &[("catalog.jwks_url", "login.example")],
            &[("catalog.jwt_audience", ""), ("catalog.jwks_url", "https://login.example/jwks")],
            &[("catalog.jwt_issuer", ""), ("catalog.jwks_url", "https://login.example/jwks")],
            &[("catalog.jwt_leeway_s", "61")],
            &[("catalog.jwks_refresh_s", "1")],
            &[("catalog.proxy_networks", "proxy")],
            &[("catalog.proxy_user_header", "X User")],
            &[("catalog.proxy_roles_header", "")],
            &[("catalog.link_s", "1")],
            &[("catalog.frame_ancestors", "https://a.example/path")],
            &[("catalog.page_rows", "0")],
            &[("catalog.audit_repeat_s", "3601")],
            &[("catalog.http_connections", "0")],
            &[("catalog.head_bytes", "1")],
            &[("catalog.head_timeout_s", "0")],
            &[("catalog.request_timeout_s", "601")],
            &[("catalog.drain_timeout_s", "0")],
            &[("access.agent.tenants", "")],
            &[("access.agent.kinds", "hologram")],
            &[("access.agent.assets", "manifest")],
            &[("access.agent.actions", "everything")],
            &[("links.public_url", "media.example.test")],
            &[("links.public_url", "https://media.example.test/")],
            &[("links.key", "short")],
            &[("links.previous_key", "short")],
            &[("links.capability_days", "40000")],
            &[("gateway.publishes", "2047")],
            &[("gateway.account_memory_bytes", "1000000")],
            &[("gateway.forward_days", "31")],
            &[("gateway.reconcile_s", "59")],
            &[("gateway.reconcile_back_s", "0")],
            &[("gateway.forward_timeout_s", "0")],
            &[("gateway.forward_at_once", "0")],
            &[("gateway.forward_allow_hosts", "https://inbox")],
            &[("gateway.head_bytes", "65536"), ("channels.a.forward", "https://inbox.example/")],
            &[("channels.a.forward", "inbox.example")],
            &[("channels.a.forward", "https://u:p@inbox.example/")],
            &[("channels.a.forward", "https://inbox.example/,https://inbox.example/")],
            &[(
                "channels.a.forward",
                "http://1,http://2,http://3,http://4,http://5,http://6,http://7,http://8,http://9",
            )],
            &[("ledger.url", "mysql://ledger")],
            &[("ledger.retry_delays_s", "0")],
            &[("deliver.a.kind", "")],
            &[("deliver.a.url", "ftp://crm.example"), ("deliver.a.kind", "webhook")],
            &[("deliver.a.url", ""), ("deliver.a.kind", "webhook")],
            &[("deliver.a.outcomes", "received"), ("deliver.a.kind", "hubspot")],
            &[("deliver.a.concurrency", "0"), ("deliver.a.kind", "hubspot")],
            &[("deliver.a.region", "br"), ("deliver.a.kind", "hubspot")],
            &[("deliver.a.body_bytes", "10"), ("deliver.a.kind", "hubspot")],
            &[("channels.a.signature", "md5"), ("channels.a.provider", "generic")],
            &[("channels.a.at_id", ""), ("channels.a.provider", "generic")],
            &[("channels.a.at_url", "media.url")],
            &[("channels.a.token_header", "X Token")],
            &[("channels.a.provider", "")],
            &[("channels.a.tenant", "")],
            &[("channels.a.api_base", "graph.facebook.com")],
            &[("channels.a.api_base", "https://u:p@graph.facebook.com")],
            &[("channels.a.hosts", "*")],
            &[("channels.a.user_agent", "a\nb")],
            &[("channels.a.media_id_lifetime_s", "0")],
            &[("channels.a.max_errors", "10001")],
            &[("channels.a.error_window_s", "0")],
            &[("channels.a.error_pause_s", "604801")],
            &[("privacy.key", "short")],
            &[("privacy.key_previous", "0123456789012345678901234567890123456789")],
            &[("privacy.consent", "")],
            &[("privacy.consent_purposes", "anything")],
            &[("privacy.retention_days", "99999")],
            &[("privacy.cache_s", "9999")],
            &[("privacy.audit_name", "a b")],
            &[("privacy.purge_url", "http://cache.example/purge")],
            &[("privacy.purge_url", "https://u:p@cache.example/purge")],
            &[("privacy.purge_token", "secret")],
            &[("tenants.a.consent_purposes", "anything")],
            &[("tenants.a.retention_days", "99999")],
        ];
        for flags in wrong {
            let text = problem(flags);
            assert!(text.contains(flags[0].0), "{flags:?}: {text:?}");
        }
    }

    #[test]
    fn a_mistake_of_two_keys_stands_where_one_of_them_was_set() {
        for (key, value) in [
            ("store.access_key_id", "a"),
            ("store.secret_access_key", "x"),
            ("broker.reconnect_min_ms", "9999999"),
            ("broker.reconnect_max_ms", "1"),
            ("store.sse_kms_key_id", "k"),
            ("worker.slots", "1000"),
            ("source.total_timeout_s", "1600"),
            ("broker.ack_timeout_s", "700"),
        ] {
            let flags = [(key, value), ("worker.audio_slots", "1001")];
            let text = problem(if key == "worker.slots" { &flags } else { &flags[..1] });
            assert!(text.starts_with("--set ") && !text.contains("default.toml"), "{key}: {text:?}");
        }
    }

    #[test]
    fn usual_values_are_accepted() {
        for flags in [
            &[("store.url", "s3://bucket")][..],
            &[("store.url", "s3://my.bucket/some/prefix"), ("store.endpoint", "http://127.0.0.1:9000")],
            &[("store.sse", "aws:kms"), ("store.sse_kms_key_id", "arn:aws:kms:eu-west-1:1:key/2")],
            &[("broker.url", "amqps://u:p%40@h:5671/vhost?heartbeat=5")],
            &[("broker.nodes", "rabbit-2:5672, 10.0.0.3:5673,[::1]:5672")],
            &[("worker.slots", "1")],
            &[("broker.retry_delays_s", "")],
            &[("traces.endpoint", "https://collector.example/otlp")],
        ] {
            assert_eq!(problem(flags), "", "{flags:?}");
        }
    }
}

//! Checks of `[gateway]`, and of what it means together with `[channels.<name>]`.

use super::super::{Config, Gateway};
use super::Checker;
use crate::config::http_url::is_bare_http;

/// Most bytes or connections that a key of the gateway can say.
const MOST_OF_A_GATEWAY: usize = 1 << 32;
/// AMQP channels of a connection, less those that are not for publishing.
const MOST_CHANNELS: usize = 2000;
/// Headers of a webhook that is passed on are headers of a message, which have to fit into a frame with all that the broker adds.
const MOST_PASSED_ON: usize = 48 << 10;

/// Thirty days: longer ago than anybody's webhook.
const MOST_BACK_S: u64 = 30 * 24 * 3600;

impl Checker<'_> {
    pub(super) fn gateway(&mut self, gateway: &Gateway) {
        let listen = &gateway.listen;
        let listen_ok = listen.is_empty() || listen.parse::<std::net::SocketAddr>().is_ok();
        self.expect(listen_ok, "gateway.listen", "must be an IP address and a port, such as 0.0.0.0:8080, or empty");
        let tls_ok = gateway.tls_certificate.as_os_str().is_empty() == gateway.tls_key.as_os_str().is_empty();
        let problem = "gateway.tls_certificate and gateway.tls_key must both be there, or neither";
        self.expect(tls_ok, "gateway.tls_key", problem);
        let url = &gateway.public_url;
        let url_ok = url.is_empty() || (is_bare_http(url) && !url.ends_with('/'));
        let problem = "must be an http:// or https:// URL without path, password and query, or empty";
        self.expect(url_ok, "gateway.public_url", problem);
        for (key, value, least) in [
            ("body_bytes", gateway.body_bytes, 1024),
            ("head_bytes", gateway.head_bytes, 8192),
            ("memory_bytes", gateway.memory_bytes, gateway.body_bytes),
            ("account_memory_bytes", gateway.account_memory_bytes, gateway.body_bytes),
            ("connections", gateway.connections, 1),
            ("account_requests", gateway.account_requests, 1),
        ] {
            let holds = (least..=MOST_OF_A_GATEWAY).contains(&value);
            self.expect(holds, &format!("gateway.{key}"), &format!("must be {least} to {MOST_OF_A_GATEWAY}"));
        }
        for (key, seconds) in [
            ("head_timeout_s", gateway.head_timeout_s),
            ("body_timeout_s", gateway.body_timeout_s),
            ("publish_timeout_s", gateway.publish_timeout_s),
            ("drain_timeout_s", gateway.drain_timeout_s),
            ("forward_timeout_s", gateway.forward_timeout_s),
        ] {
            self.expect((1..=600).contains(&seconds), &format!("gateway.{key}"), "must be 1 to 600");
        }
    }

    /// Webhooks that are passed on.
    pub(super) fn forward(&mut self, config: &Config) {
        let gateway = &config.gateway;
        let publishes_ok = (1..=MOST_CHANNELS).contains(&gateway.publishes);
        self.expect(publishes_ok, "gateway.publishes", &format!("must be 1 to {MOST_CHANNELS}"));
        self.expect((1..=30).contains(&gateway.forward_days), "gateway.forward_days", "must be 1 to 30");
        self.expect((1..=1000).contains(&gateway.forward_at_once), "gateway.forward_at_once", "must be 1 to 1000");
        let every_ok = gateway.reconcile_s == 0 || (60..=MOST_BACK_S).contains(&gateway.reconcile_s);
        self.expect(every_ok, "gateway.reconcile_s", &format!("must be 60 to {MOST_BACK_S}, or 0 for never"));
        let back_ok = (60..=MOST_BACK_S).contains(&gateway.reconcile_back_s);
        self.expect(back_ok, "gateway.reconcile_back_s", &format!("must be 60 to {MOST_BACK_S}"));
        let bare = |host: &String| !host.is_empty() && !host.contains(['/', '@', ' ']);
        let hosts_ok = gateway.forward_allow_hosts.iter().all(bare);
        let problem = "every entry is a name or name:port, without scheme or path";
        self.expect(hosts_ok, "gateway.forward_allow_hosts", problem);
        let is_used = config.channels.values().any(|channel| !channel.forward.is_empty());
        let problem =
            format!("must be at most {MOST_PASSED_ON} where webhooks are passed on (channels.<name>.forward)");
        self.expect(!is_used || gateway.head_bytes <= MOST_PASSED_ON, "gateway.head_bytes", &problem);
    }
}

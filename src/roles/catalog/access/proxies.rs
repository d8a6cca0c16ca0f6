//! Reverse proxies that say who somebody is. Only those whose address is in a configured network are believed.

use std::net::IpAddr;

use crate::config::{self, network};

/// The networks of trusted proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    networks: Vec<(IpAddr, u8)>,
    /// The header that names the person.
    pub user_header: String,
    /// The header that names the roles.
    pub roles_header: String,
}

impl Proxies {
    /// Those of the configuration.
    #[must_use]
    pub fn new(config: &config::Catalog) -> Self {
        Self {
            networks: config.proxy_networks.iter().filter_map(|text| network(text)).collect(),
            user_header: config.proxy_user_header.clone(),
            roles_header: config.proxy_roles_header.clone(),
        }
    }

    /// Whether what comes from this address is believed.
    #[must_use]
    pub fn trust(&self, peer: IpAddr) -> bool {
        // An IPv4 address as an IPv6 socket shows it.
        let peer = peer.to_canonical();
        self.networks.iter().any(|(address, bits)| contains(*address, *bits, peer))
    }
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_networks_are_believed() {
        let networks = ["10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0"];
        let proxies = |text: &str| Proxies { networks: network(text).into_iter().collect(), ..Proxies::default() };
        let trusts = |text: &str, peer: &str| proxies(text).trust(peer.parse().expect("an address"));
        assert!(trusts(networks[0], "10.1.255.3") && trusts(networks[0], "::ffff:10.1.2.3"));
        assert!(!trusts(networks[0], "10.2.0.1") && !trusts(networks[0], "::1"));
        assert!(trusts(networks[1], "192.0.2.7") && !trusts(networks[1], "192.0.2.8"));
        assert!(trusts(networks[2], "2001:db8:1::1") && !trusts(networks[2], "2001:db9::1"));
        assert!(trusts(networks[3], "203.0.113.9") && !trusts(networks[3], "2001:db8::1"));
        assert!(!Proxies::default().trust("127.0.0.1".parse().expect("an address")));
    }
}

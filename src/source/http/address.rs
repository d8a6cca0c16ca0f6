//! Which addresses are the public internet's: IANA's special-purpose registries, read from the careful side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address and prefix length of what is not the public internet (RFC 6890 and its registry).
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    // This network; "unspecified" reaches this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private (RFC 1918), and shared by carriers (RFC 6598).
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback; link-local, where clouds keep their metadata.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocol assignments; documentation; 6to4 relays; benchmarks.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast; reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The same within 2000::/3, outside of which nothing is public: not loopback, unspecified, NAT64 of a network's own
/// (64:ff9b:1::/48, RFC 8215), unique local (fc00::/7), link-local (fe80::/10), multicast (ff00::/8).
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    // Protocol assignments: Teredo, which hides an IPv4 address, benchmarks, ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation, old and new.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// First address and prefix length of what carries an IPv4 address, and how many bits follow that address: where a packet
/// arrives is decided by what is carried.
const CARRIERS: &[(Ipv6Addr, u32, u32)] = &[
    // Mapped (RFC 4291, 2.5.5.2): a socket for both families writes IPv4 like this.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 0),
    // NAT64 (RFC 6052): what DNS64 makes of every host that has IPv4 only.
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 0),
    // 6to4 (RFC 3056).
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 80),
];

const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Whether this is an address of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match unwrapped(address) {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|&(network, bits)| within_v4(v4, network, bits)),
        IpAddr::V6(v6) => {
            within_v6(v6, GLOBAL_UNICAST.0, GLOBAL_UNICAST.1)
                && !SPECIAL_V6.iter().any(|&(network, bits)| within_v6(v6, network, bits))
        }
    }
}

/// What one machine has for itself: an IPv4 address, also where it is carried, or the first address of an IPv6 network of 64
/// bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match unwrapped(address) {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The IPv4 address that an IPv6 address carries, or the address itself.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let carrier = CARRIERS.iter().find(|&&(network, bits, _)| within_v6(v6, network, bits));
    let carried = carrier.and_then(|&(_, _, after)| u32::try_from((v6.to_bits() >> after) & 0xffff_ffff).ok());
    carried.map_or(address, |bits| Ipv4Addr::from_bits(bits).into())
}

fn within_v4(address: Ipv4Addr, network: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0
}

fn within_v6(address: Ipv6Addr, network: Ipv6Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_an_ipv4_address_or_64_bits_of_ipv6() {
        let of = |text: &str| network(text.parse().expect(text)).to_string();
        assert_eq!(of("8.8.8.8"), "8.8.8.8");
        for carried in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808:1::2"] {
            assert_eq!(of(carried), "8.8.8.8");
        }
        assert_eq!(of("2001:4860:4860::8888"), of("2001:4860:4860:0:1234::1"));
        assert_ne!(of("2001:4860:4860::8888"), of("2001:4860:4860:1::8888"));
    }

    #[test]
    fn nothing_but_the_public_internet_passes() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "64:ff9b:1::808:808",
            "64:ff9b::1:808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::808:808",
            "2002:c0a8:101::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().expect(address)), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "2003::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(address.parse().expect(address)), "{address}");
        }
    }
}

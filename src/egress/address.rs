//! Decides which addresses belong to the public internet, following IANA's special-purpose address registries. An
//! address that they do not list as public is not public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address and prefix length of the IPv4 networks that are not public (RFC 6890 and its registry).
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    // "This network"; 0.0.0.0 reaches this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private (RFC 1918), and shared address space of carriers (RFC 6598).
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback; link-local, where clouds serve their metadata.
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

/// The same for IPv6, within 2000::/3. Nothing outside of that is public: loopback, unspecified, IPv4-compatible
/// (::/96, deprecated by RFC 4291), unique local (fc00::/7), link-local (fe80::/10), multicast (ff00::/8).
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    // Protocol assignments: Teredo (RFC 4380), whose public relays are switched off; benchmarks; ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation, the older and the newer network.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// IPv6 networks whose addresses contain an IPv4 address: first address, prefix length, and the number of bits behind
/// the IPv4 address. The IPv4 address decides where a packet arrives.
const CARRIERS: &[(Ipv6Addr, u32, u32)] = &[
    // IPv4-mapped (RFC 4291, section 2.5.5.2): how a socket for both families writes IPv4.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 0),
    // NAT64 (RFC 6052): what DNS64 returns for hosts that have only IPv4.
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 0),
    // 6to4 (RFC 3056).
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 80),
];

const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// NAT64 with a prefix of the local network (RFC 8215). The network chooses the length of the prefix before the IPv4
/// address.
const LOCAL_NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48);

/// Deprecated ways to contain an IPv4 address: IPv4-compatible (RFC 4291, section 2.5.5.1), and Teredo, which contains
/// its client's address inverted (RFC 4380, section 4). They are never public, because no public server is reached
/// through them; the IPv4 address is only used to tell machines apart.
const COMPATIBLE: (Ipv6Addr, u32) = (Ipv6Addr::UNSPECIFIED, 96);
const TEREDO: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);

/// Whether this is an address of the public internet. For an address that contains an IPv4 address, that one decides.
pub(super) fn is_public(address: IpAddr) -> bool {
    let v6 = match unwrapped(address) {
        IpAddr::V4(v4) => return is_public_v4(v4),
        IpAddr::V6(v6) => v6,
    };
    if within_v6(v6, LOCAL_NAT64.0, LOCAL_NAT64.1) {
        let readings = local_readings(v6);
        return !readings.is_empty() && readings.into_iter().all(is_public_v4);
    }
    within_v6(v6, GLOBAL_UNICAST.0, GLOBAL_UNICAST.1)
        && !SPECIAL_V6.iter().any(|&(network, bits)| within_v6(v6, network, bits))
}

/// What identifies one machine: its IPv4 address, also if an IPv6 address contains it, or the first address of its IPv6
/// network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match unwrapped(address) {
        IpAddr::V6(v6) => match machine_behind(v6) {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The IPv4 address that an IPv6 address contains, or the address itself. Only for the networks in [`CARRIERS`],
/// through which public hosts are reached and which have one way to write the IPv4 address.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let carrier = CARRIERS.iter().find(|&&(network, bits, _)| within_v6(v6, network, bits));
    carrier.map_or(address, |&(_, _, after)| carried(v6.to_bits() >> after).into())
}

/// The IPv4 address of the machine behind an address that is not public, or that can be read in several ways.
fn machine_behind(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let within = |(network, bits)| within_v6(v6, network, bits);
    if within(LOCAL_NAT64) {
        return local_readings(v6).first().copied();
    }
    if within(TEREDO) {
        return Some(carried(!v6.to_bits()));
    }
    // Loopback and unspecified contain no IPv4 address.
    (within(COMPATIBLE) && v6.to_bits() > 0xffff).then(|| carried(v6.to_bits()))
}

/// The IPv4 addresses that a local NAT64 may read from an address: behind a prefix of 96, 48, 56 or 64 bits, without
/// bits 64 to 71, which belong to none of them (RFC 6052, section 2.2). Addresses in 0.0.0.0/8 are left out: they
/// result from reading the zeros around another address.
fn local_readings(v6: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bits = v6.to_bits();
    // Bits 0 to 63 and 72 to 127 joined, right-aligned.
    let joined = (bits >> 64 << 56) | (bits & 0x00ff_ffff_ffff_ffff);
    let readings = [bits, joined >> 40, joined >> 32, joined >> 24].map(carried);
    readings.into_iter().filter(|v4| v4.octets()[0] != 0).collect()
}

/// The last 32 bits as an IPv4 address.
fn carried(bits: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = bits.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|&(network, bits)| within_v4(v4, network, bits))
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
        // Local NAT64 with prefixes of 96 and 48 bits, Teredo, and IPv4-compatible: none of them is public.
        for carried in ["64:ff9b:1::8.8.8.8", "64:ff9b:1:808:8:800::", "2001:0:102:304::f7f7:f7f7", "::8.8.8.8"] {
            assert_eq!(of(carried), "8.8.8.8", "{carried}");
        }
        assert_eq!(of("::1"), "::");
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
            // Local NAT64: one of the ways to read it gives a private address.
            "64:ff9b:1::1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1::127.0.0.1",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a00:0:100::",
            "64:ff9b:1:a00:0:100:808:808",
            "64:ff9b:1:0a:0:1::",
            "64:ff9b:1:0:a:0:100:0",
            "64:ff9b:2::808:808",
            "64:ff9b::1:808:808",
            "100::1",
            "2001::1",
            // Teredo with the client address 10.0.0.1, and with 8.8.8.8.
            "2001:0:102:304::f5ff:fffe",
            "2001:0:102:304::f7f7:f7f7",
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
            "64:ff9b:1::808:808",
            "64:ff9b:1:808:8:800::",
            "2002:808:808::1",
        ] {
            assert!(is_public(address.parse().expect(address)), "{address}");
        }
    }
}

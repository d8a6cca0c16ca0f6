//! Phone numbers, compared as numbers and not as text.

use phonenumber::country::Id;
use phonenumber::{Mode, PhoneNumber};

/// A number in E.164, such as `+5511987654321`. `region` is the country of one without a country code; WhatsApp's ids are
/// digits with a country code and without `+`.
#[must_use]
pub fn e164(text: &str, region: &str) -> Option<String> {
    parse(text, region).map(|number| number.format().mode(Mode::E164).to_string())
}

/// Area code and number without the country code: what HubSpot's calculated property has.
#[must_use]
pub fn national(text: &str, region: &str) -> Option<String> {
    parse(text, region).map(|number| number.national().to_string())
}

/// Whether two texts are the same number. Brazilian and Argentinian mobiles are also written without their 9, Mexican ones with
/// a 1 behind the country code.
#[must_use]
pub fn is_same(one: &str, other: &str, region: &str) -> bool {
    match (parse(one, region), parse(other, region)) {
        (Some(one), Some(other)) => canonical(&one) == canonical(&other),
        _ => false,
    }
}

/// The country of a number with a country code, such as `BR`; empty where that is not known.
#[must_use]
pub fn region(text: &str) -> String {
    let id = parse(text, "").and_then(|number| number.country().id());
    id.map(|id| id.as_ref().to_owned()).unwrap_or_default()
}

fn parse(text: &str, region: &str) -> Option<PhoneNumber> {
    let country: Option<Id> = region.parse().ok();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !(5..=18).contains(&digits.len()) {
        return None;
    }
    let as_written = || phonenumber::parse(country, text).ok().filter(PhoneNumber::is_valid);
    // Numbers that plans no longer have, such as mobiles without their added digit, still stand in CRMs.
    let with_plus = || phonenumber::parse(None, format!("+{digits}")).ok();
    if text.trim_start().starts_with('+') || country.is_none() {
        return with_plus();
    }
    // A number of the region first: without a plus it is more often national than not, but where it is none, it is WhatsApp's.
    as_written().or_else(with_plus)
}

/// Country code and number without what is written sometimes only. The lengths are those of the national numbering plans.
fn canonical(number: &PhoneNumber) -> (u16, String) {
    let (code, mut national) = (number.code().value(), number.national().to_string());
    match (code, national.len()) {
        // Area code (2 digits), 9, number (8 digits).
        (55, 11) if national.as_bytes().get(2) == Some(&b'9') => drop(national.remove(2)),
        // 9, area code and number (10 digits).
        (54, 11) if national.starts_with('9') => drop(national.remove(0)),
        // 1, area code and number (10 digits).
        (52, 11) if national.starts_with('1') => drop(national.remove(0)),
        _ => {}
    }
    (code, national)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        for (one, other, region) in [
            ("5511987654321", "+55 (11) 98765-4321", ""),
            ("5511987654321", "(11) 98765-4321", "BR"),
            ("551187654321", "+55 11 98765-4321", ""),
            ("14155552671", "+1 415-555-2671", ""),
            ("14155552671", "(415) 555-2671", "US"),
            ("4915112345678", "0151 12345678", "DE"),
            ("5491123456789", "+54 11 2345-6789", ""),
        ] {
            assert!(is_same(one, other, region), "{one} {other}");
        }
        for (one, other, region) in [
            ("5511987654321", "5511987654322", ""),
            ("14155552671", "", ""),
            ("x", "x", ""),
            ("14155552671", "5552671", ""),
        ] {
            assert!(!is_same(one, other, region), "{one} {other}");
        }
    }

    #[test]
    fn a_number_has_one_form_in_e164_and_one_within_its_country() {
        assert_eq!(e164("5511987654321", "").as_deref(), Some("+5511987654321"));
        assert_eq!(e164("(11) 98765-4321", "BR").as_deref(), Some("+5511987654321"));
        assert_eq!(national("5511987654321", "").as_deref(), Some("11987654321"));
        assert_eq!(e164("no number", "BR"), None);
    }
}

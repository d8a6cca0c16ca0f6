//! Webhooks of the other providers.

use mediamill::channels::{
    Account, Credential, GenericRules, Ignored, Keys, Media, Provider, Request, Scheme, Update, open,
};
use mediamill::events::Kind;

use super::samples::{BIRD, BIRD_CHANNELS, MESSAGEBIRD, meta, twilio};
use super::{account, at, channel, headers, parsed, post};

const FORM: &str = "application/x-www-form-urlencoded";

fn media(updates: Vec<Update>) -> Vec<Media> {
    let media = updates.into_iter().map(|update| match update {
        Update::Media(media) => *media,
        other => panic!("{other:?}"),
    });
    media.collect()
}

fn twilio_updates(account: &Account, form: &str) -> Vec<Update> {
    let headers = headers(&[("content-type", FORM)]);
    channel(account).parse(&post(&headers, form.as_bytes())).expect("a webhook")
}

#[test]
fn twilio_has_a_media_for_each_url_and_the_same_ones_again() {
    let account = account(Provider::Twilio, "12345");
    let ids = || -> Vec<String> {
        let media = media(twilio_updates(&account, &twilio(3)));
        assert_eq!(media[0].carrier.n, "ME00000000000000000000000000000000");
        media.iter().map(|media| media.carrier.media_id("twilio")).collect()
    };
    let first = ids();
    assert_eq!((first.len(), &first), (3, &ids()));
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    let one = media(twilio_updates(&account, &twilio(1))).remove(0);
    assert_eq!(one.kind, Some(Kind::Audio));
    let message = one.carrier.message;
    assert_eq!((message.channel.as_deref(), message.phone.as_deref()), (Some("whatsapp"), Some("+5511999990000")));
    assert_eq!((message.contact_name.as_deref(), message.caption), (Some("Zo\u{eb} \u{1f600}"), None));
}

#[test]
fn twilio_forms_without_files_are_text_or_status() {
    let account = account(Provider::Twilio, "12345");
    assert_eq!(twilio_updates(&account, &twilio(0)), [Update::Ignored(Ignored::TEXT)]);
    let status = "MessageSid=SM1&AccountSid=AC1&MessageStatus=delivered";
    assert_eq!(twilio_updates(&account, status), [Update::Ignored(Ignored::STATUS)]);
    // The number of files is not believed.
    let lied = twilio(1).replace("NumMedia=1", "NumMedia=0");
    assert_eq!(media(twilio_updates(&account, &lied)).len(), 1);
    // Everything in the query, where the account is configured so.
    let url = format!("https://gw.example.test/v1/channels/support?{}", twilio(2));
    let got = channel(&account).parse(&Request { is_get: true, url: &url, headers: &[], body: b"" });
    assert_eq!(media(got.expect("a webhook")).len(), 2);
    let reply = channel(&account).success();
    assert_eq!((reply.status, reply.content_type, reply.body.as_str()), (200, Some("text/xml"), "<Response/>"));
}

#[test]
fn dialog360_has_metas_webhooks_and_a_token_of_our_choosing() {
    let mut account = account(Provider::Dialog360, "");
    assert!(open(&account).is_err(), "nothing to verify with");
    account.token_header = Some("authorization".to_owned());
    account.verify_tokens = Keys::of_texts(["Basic our-token"]);
    let body = meta(super::samples::AUDIO);
    let verdict = |pairs: &[(&str, &str)]| {
        let headers = headers(pairs);
        channel(&account).verify(&post(&headers, body.as_bytes()), at(0))
    };
    assert_eq!(verdict(&[("authorization", "Basic our-token")]), Ok(()));
    assert!(verdict(&[("authorization", "Basic theirs")]).is_err() && verdict(&[]).is_err());
    let media = media(parsed(&account, &body));
    assert!(media[0].carrier.media_id(Provider::Dialog360.as_str()).starts_with("360dialog-"));
    // The product before the Cloud API has messages at the top.
    let flat = r#"{"contacts":[],"messages":[{"id":"x","type":"audio","audio":{"id":"1"}}]}"#;
    assert!(channel(&account).parse(&post(&[], flat.as_bytes())).is_err());
}

#[test]
fn messagebird_tells_of_what_customers_send() {
    let account = account(Provider::Messagebird, "k");
    let voice = media(parsed(&account, MESSAGEBIRD)).remove(0);
    assert_eq!((voice.kind, voice.carrier.account_id.as_str()), (Some(Kind::Audio), "ch001"));
    assert_eq!(voice.carrier.message.phone.as_deref(), Some("+5511999990000"));
    let sticker = MESSAGEBIRD
        .replace(r#""type":"audio""#, r#""type":"whatsappSticker""#)
        .replace(r#""audio":{"url""#, r#""whatsappSticker":{"link""#);
    assert_eq!(media(parsed(&account, &sticker)).remove(0).kind, Some(Kind::Image));
    let ours = MESSAGEBIRD.replace("\"received\"", "\"sent\"");
    assert_eq!(parsed(&account, &ours), [Update::Ignored(Ignored::OUTBOUND)]);
    let updated = MESSAGEBIRD.replace("message.created", "message.updated");
    assert_eq!(parsed(&account, &updated), [Update::Ignored(Ignored::STATUS)]);
}

#[test]
fn bird_has_several_files_in_one_message() {
    let account = account(Provider::BirdChannels, "k");
    let files = media(parsed(&account, BIRD_CHANNELS));
    assert_eq!(files.len(), 2);
    assert_eq!((files[0].kind, files[1].kind), (Some(Kind::Audio), None));
    assert_ne!(files[0].carrier.media_id("bird-channels"), files[1].carrier.media_id("bird-channels"));
    assert_eq!(files[0].declared.file_name.as_deref(), Some("voice.ogg"));
    let ours = BIRD_CHANNELS.replace("incoming", "outgoing");
    assert_eq!(parsed(&account, &ours), [Update::Ignored(Ignored::OUTBOUND)]);
}

#[test]
fn birds_platform_says_where_it_has_no_file() {
    let account = account(Provider::Bird, "whsec_MDEyMzQ1Njc4OWFiY2RlZg==");
    let voice = media(parsed(&account, BIRD)).remove(0);
    assert_eq!((voice.kind, voice.carrier.message.voice), (Some(Kind::Audio), Some(true)));
    let without = BIRD.replace("\"url\"", "\"not-url\"");
    assert!(matches!(parsed(&account, &without)[..], [Update::Undelivered(_)]));
    let mut wrong = account.clone();
    wrong.signing_keys = Keys::of_texts(["not-whsec"]);
    assert!(open(&wrong).is_err());
}

fn waha() -> Account {
    let mut account = account(Provider::Generic, "k");
    account.generic = Some(GenericRules {
        account: "ours".to_owned(),
        credential: Credential::Hmac { scheme: Scheme::Sha512, is_base64: false, prefix: String::new() },
        header: "x-webhook-hmac".to_owned(),
        messages: "/payload".to_owned(),
        id: "/id".to_owned(),
        url: "/media/url".to_owned(),
        mime_type: "/media/mimetype".to_owned(),
        file_name: "/media/filename".to_owned(),
        caption: "/body".to_owned(),
        contact: "/from".to_owned(),
        contact_name: String::new(),
        time: "/timestamp".to_owned(),
        account_id: "/session".to_owned(),
        from_me: "/fromMe".to_owned(),
        channel: "whatsapp".to_owned(),
    });
    account
}

#[test]
fn a_provider_that_is_not_built_in_is_data() {
    let account = waha();
    let body = r#"{"event":"message","session":"default","payload":{"id":"false_5511999990000@c.us_AAA","timestamp":1790000000,
      "from":"5511999990000@c.us","fromMe":false,"body":"the roof","hasMedia":true,
      "media":{"url":"http://waha:3000/api/files/AAA.jpg","mimetype":"image/jpeg","filename":null}}}"#;
    let picture = media(parsed(&account, body)).remove(0);
    assert_eq!((picture.kind, picture.reference.as_str()), (Some(Kind::Image), "http://waha:3000/api/files/AAA.jpg"));
    let message = &picture.carrier.message;
    assert_eq!((message.phone.as_deref(), message.caption.as_deref()), (Some("+5511999990000"), Some("the roof")));
    assert_eq!(picture.carrier.sent_at, Some(at(1_790_000_000)));
    assert_eq!(picture.carrier.account_id, "default");
    let ours = body.replace("\"fromMe\":false", "\"fromMe\":true");
    assert_eq!(parsed(&account, &ours), [Update::Ignored(Ignored::OUTBOUND)]);
    let text = body.replace("\"url\":", "\"no-url\":");
    assert_eq!(parsed(&account, &text), [Update::Ignored(Ignored::TEXT)]);
    let mut wrong = account;
    if let Some(rules) = &mut wrong.generic {
        rules.url = "media.url".to_owned();
    }
    assert!(open(&wrong).is_err(), "no JSON pointer");
    let mut unnamed = waha();
    unnamed.name = "renamed".to_owned();
    let rules = unnamed.generic.as_mut().expect("rules");
    rules.account_id = String::new();
    assert_eq!(media(parsed(&unnamed, body)).remove(0).carrier.account_id, "ours", "not the table's name");
    unnamed.generic.as_mut().expect("rules").account = String::new();
    assert!(open(&unnamed).is_err(), "media ids have no account");
}

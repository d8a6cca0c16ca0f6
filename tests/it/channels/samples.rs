//! Webhooks as the providers document them. Every id, number and name is invented.

/// Meta's envelope around messages.
pub(crate) fn meta(messages: &str) -> String {
    meta_field("messages", &format!(r#""messages":[{messages}]"#))
}

/// Meta's envelope around the value of a field.
pub(crate) fn meta_field(field: &str, value: &str) -> String {
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"900000000000001","changes":[{{"field":"{field}","value":{{
        "messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550000001","phone_number_id":"800000000000001"}},
        "contacts":[{{"profile":{{"name":"Ana","username":"ana"}},"wa_id":"5511999990000","user_id":"BR.1000000000000000001"}}],
        {value}}}}}]}}]}}"#
    )
}

pub(crate) const AUDIO: &str = r#"{"from":"5511999990000","from_user_id":"BR.1000000000000000001","id":"wamid.HBgAUDIO1",
  "timestamp":"1790000000","type":"audio","audio":{"id":"700000000000001","mime_type":"audio/ogg; codecs=opus",
  "sha256":"szXu7Kjm7KMUm/fHgLeXSvQ4hk31YITGd4eBsnrwt+w=","voice":true,
  "url":"https:\/\/lookaside.fbsbx.com\/whatsapp_business\/attachments\/?mid=700000000000001&source=webhook&ext=1790000300&hash=AR-x"}}"#;

pub(crate) const MESSAGEBIRD: &str = r#"{"type":"message.created","message":{"id":"m0000000000000000000000000000001",
  "conversationId":"c001","channelId":"ch001","platform":"whatsapp","from":"+5511999990000","to":"+15550000001",
  "direction":"received","status":"received","type":"audio",
  "content":{"audio":{"url":"https://media.messagebird.com/v1/media/00000000-0000-4000-8000-000000000001"}},
  "createdDatetime":"2026-11-22T10:00:00Z","updatedDatetime":"2026-11-22T10:00:00Z"},
  "contact":{"id":"ct001","displayName":"Ana","msisdn":5511999990000},"conversation":{"id":"c001","status":"active"}}"#;

pub(crate) const BIRD_CHANNELS: &str = r#"{"service":"channels","event":"whatsapp.inbound","payload":{
  "id":"p0000000-0000-4000-8000-000000000001","channelId":"ch-1","direction":"incoming","status":"delivered",
  "createdAt":"2026-11-22T10:00:00Z","sender":{"contact":{"id":"ct-1","identifierKey":"phonenumber",
  "identifierValue":"+5511999990000"}},"receiver":{"connector":{"id":"ch-1"}},
  "body":{"type":"file","file":{"files":[
    {"mediaUrl":"https://media.api.bird.com/workspaces/ws-1/messages/p-1/media/f-1","contentType":"audio/ogg","filename":"voice.ogg"},
    {"mediaUrl":"https://media.api.bird.com/workspaces/ws-1/messages/p-1/media/f-2"}]}},
  "parts":[{"platformReference":"wamid.HBgX"}],"meta":{"extraInformation":{"whatsapp.media.type":"audio"}}}}"#;

pub(crate) const BIRD: &str = r#"{"type":"whatsapp.received","timestamp":"2026-11-22T10:00:00Z","data":{
  "whatsapp_id":"wam_01000000000000000000000001","workspace_id":"ws_1","direction":"inbound","from":"+5511999990000",
  "to":"+15550000001","audio":{"id":"waf_01000000000000000000000001",
  "url":"https://platform.bird.com/v1/whatsapp/messages/wam_01000000000000000000000001/media/waf_01000000000000000000000001",
  "mime_type":"audio/ogg","voice":true}}}"#;

/// A form of Twilio's with so many files.
pub(crate) fn twilio(files: usize) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("MessageSid", "MM00000000000000000000000000000001"),
        ("SmsMessageSid", "MM00000000000000000000000000000001"),
        ("AccountSid", "AC00000000000000000000000000000001"),
        ("From", "whatsapp:+5511999990000"),
        ("To", "whatsapp:+14155238886"),
        ("Body", ""),
        ("NumMedia", &files.to_string()),
        ("SmsStatus", "received"),
        ("ProfileName", "Zo\u{eb} \u{1f600}"),
        ("WaId", "5511999990000"),
    ]);
    for n in 0..files {
        form.append_pair(&format!("MediaContentType{n}"), "audio/ogg");
        let base = "https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001";
        let url =
            format!("{base}/Messages/MM00000000000000000000000000000001/Media/ME0000000000000000000000000000000{n}");
        form.append_pair(&format!("MediaUrl{n}"), &url);
    }
    form.finish()
}

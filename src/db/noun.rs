//! What ids can name. Empty types: they only tell one kind of id from another, in every room.

use super::id::Id;

macro_rules! nouns {
    ($($noun:ident $alias:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub enum $noun {}
        #[doc = concat!("The id of ", $doc)]
        pub type $alias = Id<$noun>;
    )*};
}

nouns! {
    TenantNoun   TenantId   "a customer organisation, or the provider itself";
    PersonNoun   PersonId   "somebody: a user or a contact";
    ApiKeyNoun   ApiKeyId   "an API key; also of the person that it acts as";
    SessionNoun  SessionId  "a session: somebody signed in";
    IdentityProviderNoun IdentityProviderId "an OpenID Connect issuer that people sign in with";
    MailedNoun   MailedTokenId "a token that was sent by mail";
    ContactNoun  ContactId  "a tenant's subscribed contact";
    IncidentNoun IncidentId "an incident";
    RequestNoun  RequestId  "a service request";
    CommentNoun  CommentId  "a comment on a service request";
    QueueNoun    QueueId    "a queue";
    ShiftNoun    ShiftId    "a shift of a queue";
    AbsenceNoun  AbsenceId  "a time in which somebody does not work";
    OverrideNoun OverrideId "a change of who works in a queue, for a time";
    WaiverNoun   WaiverId   "leave for a queue to have gaps";
    CalendarNoun CalendarId   "a calendar of business hours";
    HandOverNoun HandOverId "what a team is told by the one before it";
    LastWordNoun LastWordId "something said to the next team";
    EventNoun    EventId    "something that happened; also the id of the mail that tells of it";
    DeliveryNoun DeliveryId "one message to one recipient";
    SubscriptionNoun SubscriptionId "what somebody wants to hear of";
    SuppressionNoun SuppressionId "an address that takes no mail";
    AttachmentNoun AttachmentId "a file of a request";
    SubjectNoun  SubjectId  "whatever an event is about";
}

/// The provider, as a tenant of fixed id, so that staff rows have a tenant too.
pub const PROVIDER: TenantId =
    Id::from_uuid(uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));

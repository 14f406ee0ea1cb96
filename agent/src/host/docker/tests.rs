use super::*;

const VERSION: &str = r#"{"Client":{"Version":"28.2.2","ApiVersion":"1.41"},"Server":{"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41"}}"#;

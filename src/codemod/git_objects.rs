//! How git names the contents of files.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Git's name for a blob with this content. Names have 40 digits with SHA-1 and 64 with SHA-256
/// (gitformat-pack(5), hash-function-transition).
pub fn blob_name(bytes: &[u8], digits: usize) -> String {
    let header = format!("blob {}\0", bytes.len());
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match digits {
        64 => hex(&Sha256::new().chain_update(header).chain_update(bytes).finalize()),
        _ => hex(&Sha1::new().chain_update(header).chain_update(bytes).finalize()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_names_match_git_hash_object() {
        assert_eq!(blob_name(b"", 40), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(blob_name(b"hello\n", 40), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(blob_name(b"", 64), "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");
    }
}

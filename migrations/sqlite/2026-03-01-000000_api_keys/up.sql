-- Logins beside the admin token. Of a key itself nothing is stored but its hash: 256 random bits need no slow one.
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY NOT NULL,
    tenant_id BIGINT NOT NULL,
    -- what stands in created_by of what its holder makes
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'developer', 'viewer', 'agent')),
    -- of the role agent, and of no other
    agent_id BIGINT CHECK ((agent_id IS NOT NULL) = (role = 'agent')),
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    -- how the key begins, for people to recognise it by
    prefix TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    -- NULL for never
    expires_at BIGINT,
    UNIQUE (tenant_id, name)
);

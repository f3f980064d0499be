CREATE TABLE app_events (
    id bigint PRIMARY KEY,
    visitor uuid NOT NULL,          -- a cookie
    account_email text,             -- null until somebody signs in
    action text NOT NULL,
    path text,
    happened_at timestamptz NOT NULL,
    amount numeric(12, 2),          -- of purchases
    utm_source text,
    utm_campaign text,
    referrer text,
    client_ip inet,
    session_token text
);
-- The night in which Oslo's clocks go from 02:00 to 03:00: one hour passes between the first two rows, not two.
INSERT INTO app_events VALUES
(1, '6f1e7c52-0c0a-4a5e-9a7d-5a3f6f2b0a01', NULL, 'Visited Site', '/', '2025-03-30 01:30:00+01', NULL,
    'newsletter', 'spring-2025', 'https://mail.example.com/', '203.0.113.7', 's-81'),
(2, '6f1e7c52-0c0a-4a5e-9a7d-5a3f6f2b0a01', NULL, 'Viewed Page', '/pricing', '2025-03-30 03:30:00+02', NULL,
    NULL, NULL, NULL, '203.0.113.7', 's-81'),
(3, '6f1e7c52-0c0a-4a5e-9a7d-5a3f6f2b0a01', 'ingrid@example.com', 'Signed Up', '/sign-up', '2025-03-30 03:34:10+02', NULL,
    NULL, NULL, NULL, '203.0.113.7', 's-81'),
(4, '0d9b4a9e-7f21-4c55-8d0b-2f3c9a1e0b02', 'tomas@example.com', 'Signed In', '/sign-in', '2025-03-30 09:12:45.250+02', NULL,
    NULL, NULL, NULL, '198.51.100.24', 's-82'),
(5, '0d9b4a9e-7f21-4c55-8d0b-2f3c9a1e0b02', 'tomas@example.com', 'Purchased', '/checkout', '2025-03-30 09:20:02+02', 1249.90,
    NULL, NULL, NULL, '198.51.100.24', 's-82'),
(6, '6f1e7c52-0c0a-4a5e-9a7d-5a3f6f2b0a01', 'ingrid@example.com', 'Purchased', '/checkout', '2025-03-30 10:00:00+02', 19.99,
    NULL, NULL, NULL, '203.0.113.9', 's-83');

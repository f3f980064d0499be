CREATE TABLE customers (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    plan text NOT NULL,
    seats integer NOT NULL,
    balance numeric(12, 2) NOT NULL,
    newsletter boolean NOT NULL,
    interests text[],
    trial_ends_on date,
    preferences jsonb,
    phone text,
    date_of_birth date,
    password_hash text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
INSERT INTO customers VALUES
(1001, 'amara@example.com', 'Free', 1, 0, true, '{books,music}', '2025-02-15', '{"theme": "dark", "digest": {"weekly": true}}',
    '+1 555 0100', '1984-05-06', '$2b$12$aaaa', '2025-01-15 08:00:00Z', '2025-02-01 09:30:00Z'),
(1002, 'bruno@example.com', 'Team', 12, 1250.10, false, NULL, NULL, '{"theme": "light"}',
    NULL, '1990-11-30', '$2b$12$bbbb', '2024-06-02 17:45:12Z', '2025-02-01 11:00:05Z'),
(1003, 'chiara@example.com', 'Team', 3, 0.30, true, '{travel}', NULL, NULL,
    '+39 06 555 0199', NULL, '$2b$12$cccc', '2024-09-20 12:00:00Z', '2025-02-02 23:59:59-05');

UPDATE customers SET plan = 'Team', seats = 4, trial_ends_on = NULL, updated_at = '2025-02-14 10:00:00Z' WHERE id = 1001;
UPDATE customers SET password_hash = '$2b$12$dddd', updated_at = '2025-02-14 10:05:00Z' WHERE id = 1002;
INSERT INTO customers VALUES
(1004, 'dimitri@example.com', 'Free', 1, 0, false, '{}', '2025-03-16', NULL,
    NULL, NULL, '$2b$12$eeee', '2025-02-14 10:10:00Z', '2025-02-14 10:10:00Z');

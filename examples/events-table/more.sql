INSERT INTO app_events VALUES
(7, 'b7a1d2c3-1111-4e5f-8a9b-0c1d2e3f4a03', 'ingrid@example.com', 'Signed In', '/sign-in', '2025-03-31 08:00:00+02', NULL,
    NULL, NULL, NULL, '192.0.2.61', 's-84'),
(8, 'b7a1d2c3-1111-4e5f-8a9b-0c1d2e3f4a03', 'ingrid@example.com', 'Purchased', '/checkout', '2025-03-31 08:05:31+02', 0.01,
    NULL, NULL, NULL, '192.0.2.61', 's-84');

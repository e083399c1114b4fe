-- Whether this session may keep the triggers of the application silent while it writes (15 and newer).
select has_parameter_privilege('session_replication_role', 'SET') as held

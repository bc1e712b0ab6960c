BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE commands (
	command_id VARCHAR(100) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	workflow_id VARCHAR(100) NOT NULL, 
	body TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	applied_at DOUBLE, 
	shard INTEGER, outcome VARCHAR(10), reason TEXT, 
	CONSTRAINT pk_commands PRIMARY KEY (command_id)
);
INSERT INTO "commands" VALUES('submit-completed','submit','completed','{"plan":{"todo_list_id":"plan","request":"make completed","items":[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]},{"task_id":"test","title":"Make test","agent_role":"tester","dependencies":["code"],"output_artifacts":["test.py"]}]}}',1.79590846318882727625e+09,1800000100.0,46,'accepted',NULL);
INSERT INTO "commands" VALUES('submit-failed','submit','failed','{"plan":{"todo_list_id":"plan","request":"make failed","items":[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"],"max_retries":1},{"task_id":"test","title":"Make test","agent_role":"tester","dependencies":["code"],"output_artifacts":["test.py"]}]}}',1.79590846322717952732e+09,1800000700.0,55,'accepted',NULL);
INSERT INTO "commands" VALUES('a949da366c404e5f85fd513dfd0d1eb1','retry','failed','{"person":"somebody"}',1.79590846324426364893e+09,1800001100.0,55,'accepted',NULL);
INSERT INTO "commands" VALUES('submit-dead-lettered','submit','dead-lettered','{"plan":{"todo_list_id":"plan","request":"make dead-lettered","items":[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]}]}}',1.79590846327366113668e+09,1800001500.0,22,'accepted',NULL);
INSERT INTO "commands" VALUES('submit-cancelled','submit','cancelled','{"plan":{"todo_list_id":"plan","request":"make cancelled","items":[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]}]}}',1.79590846331154632567e+09,1800001900.0,7,'accepted',NULL);
INSERT INTO "commands" VALUES('a30a0552e1ee48dc932c64c764e8888c','cancel','cancelled','{"person":"somebody"}',1.79590846335128879549e+09,1800002000.0,7,'accepted',NULL);
INSERT INTO "commands" VALUES('78d78b7a372b45ccbf86f3a1234ae31b','cancel','completed','{"person":"somebody"}',1.79590846336478185659e+09,1800002000.0,46,'refused','workflow is already completed');
INSERT INTO "commands" VALUES('submit-waiting','submit','waiting','{"plan":{"todo_list_id":"plan","request":"make waiting","items":[{"task_id":"one","title":"Make one","agent_role":"coder","output_artifacts":["one.py"],"requires_approval":true},{"task_id":"two","title":"Make two","agent_role":"coder","output_artifacts":["two.py"],"requires_approval":true}]}}',1.79590846337673211092e+09,1800002100.0,46,'accepted',NULL);
INSERT INTO "commands" VALUES('673b691cb3504f0182c2c822baf5fd8c','approve','waiting','{"task_id":"one","action_hash":"301a0568f3bc47c098b8e6318b47591b2ef5285041217077dd173e16dfac203b","person":"somebody"}',1.7959084634032173157e+09,1800002200.0,46,'accepted',NULL);
INSERT INTO "commands" VALUES('submit-running','submit','running','{"plan":{"todo_list_id":"plan","request":"make running","items":[{"task_id":"t0","title":"Make t0","agent_role":"coder","output_artifacts":["t0.py"]},{"task_id":"t1","title":"Make t1","agent_role":"coder","output_artifacts":["t1.py"]},{"task_id":"t2","title":"Make t2","agent_role":"coder","output_artifacts":["t2.py"]}]}}',1.79590846342943239212e+09,1800002400.0,47,'accepted',NULL);
INSERT INTO "commands" VALUES('3e0f52138afa4f1981e487dc9d4586b1','retry-dead-letter','dead-lettered','{"dead_letter_id":1,"person":"somebody"}',1.79590846345313334469e+09,NULL,22,NULL,NULL);
INSERT INTO "commands" VALUES('ec5c9fe4e945446fae9290e903100025','cancel','running','{"person":"somebody"}',1.79590846345468544958e+09,NULL,47,NULL,NULL);
INSERT INTO "commands" VALUES('submit-queued','submit','queued','{"plan":{"todo_list_id":"plan","request":"make queued","items":[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]}]}}',1.79590846345588111884e+09,NULL,17,NULL,NULL);
CREATE TABLE dead_letters (
	dead_letter_id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	stream VARCHAR(250) NOT NULL, 
	workflow_id VARCHAR(100), 
	task_id VARCHAR(100), 
	reason TEXT NOT NULL, 
	raw BLOB NOT NULL, origin VARCHAR(200), logs TEXT, resolved_at DOUBLE, resolution VARCHAR(20), 
	CONSTRAINT pk_dead_letters PRIMARY KEY (dead_letter_id)
);
INSERT INTO "dead_letters" VALUES(1,1800001800.0,'agent.suspects.coder','dead-lettered','code','3 workers died while they ran this task alone; the last: worker worker-1 died while it ran this task',X'7B227370656376657273696F6E223A22312E30222C2274797065223A226D756C74696167656E742E7461736B2E64697370617463686564222C2264617461636F6E74656E7474797065223A226170706C69636174696F6E2F6A736F6E222C226964223A22642D3132222C22736F75726365223A226F7263686573747261746F72222C227375626A656374223A22636F6465222C2274696D65223A22323032372D30312D31355430383A32383A32302E3030305A222C22636F7272656C6174696F6E6964223A22646561642D6C65747465726564222C22776F726B666C6F776964223A22646561642D6C65747465726564222C227461736B6964223A22636F6465222C22617474656D7074223A332C2264617461223A7B2264697370617463685F6964223A22642D3132222C227265706C795F746F223A226167656E742E726573756C74732E3232222C22617474656D7074223A332C226379636C65223A302C22637265617465645F6174223A313830303030313730302C2272657175657374223A226D616B6520646561642D6C65747465726564222C226974656D223A7B227461736B5F6964223A22636F6465222C227469746C65223A224D616B6520636F6465222C226465736372697074696F6E223A22222C226167656E745F726F6C65223A22636F646572222C22646570656E64656E63696573223A5B5D2C22696E7075745F617274696661637473223A5B5D2C226F75747075745F617274696661637473223A5B22636F64652E7079225D2C22616363657074616E63655F6372697465726961223A7B227465737473223A5B5D2C2276616C69646174696F6E5F72756C6573223A5B5D7D2C226D61785F72657472696573223A322C2274696D656F75745F7365636F6E6473223A3630302C2272657175697265735F617070726F76616C223A66616C73652C227072696F72697479223A302C226D61785F6379636C6573223A327D2C22706172656E7473223A5B5D2C227772697461626C65223A5B22636F64652E7079225D7D7D','dead-lettered/code/3','the end of the log',NULL,NULL);
CREATE TABLE journal (
	sequence INTEGER NOT NULL, 
	workflow_id VARCHAR(100) NOT NULL, 
	task_id VARCHAR(100), 
	at DOUBLE NOT NULL, 
	kind VARCHAR(50) NOT NULL, 
	data JSON NOT NULL, 
	CONSTRAINT pk_journal PRIMARY KEY (sequence)
);
INSERT INTO "journal" VALUES(1,'completed',NULL,1800000100.0,'workflow.submitted','{"tasks":2,"request":"make completed"}');
INSERT INTO "journal" VALUES(2,'completed',NULL,1800000100.0,'workflow.started','{}');
INSERT INTO "journal" VALUES(3,'completed','code',1800000100.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-1"}');
INSERT INTO "journal" VALUES(4,'completed','code',1800000200.0,'task.succeeded','{"attempt":1,"commit":"c0ffee0000000000000000000000000000000000","summary":"code is done","dispatch_id":"d-1","worker_id":"worker-1"}');
INSERT INTO "journal" VALUES(5,'completed','test',1800000200.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-2"}');
INSERT INTO "journal" VALUES(6,'completed','test',1800000300.0,'task.succeeded','{"attempt":1,"summary":"1 failed","dispatch_id":"d-2","worker_id":"worker-1","verdict":"failed"}');
INSERT INTO "journal" VALUES(7,'completed','test',1800000300.0,'task.to_be_fixed','{"cycle":1,"added":["test.fix1","test.retest1"]}');
INSERT INTO "journal" VALUES(8,'completed','test.fix1',1800000300.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-3"}');
INSERT INTO "journal" VALUES(9,'completed','test.fix1',1800000400.0,'task.succeeded','{"attempt":1,"commit":"c0ffee0000000000000000000000000000000000","summary":"test.fix1 is done","dispatch_id":"d-3","worker_id":"worker-1"}');
INSERT INTO "journal" VALUES(10,'completed','test.retest1',1800000400.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-4"}');
INSERT INTO "journal" VALUES(11,'completed','test.retest1',1800000500.0,'task.succeeded','{"attempt":1,"summary":"test.retest1 is done","dispatch_id":"d-4","worker_id":"worker-1","verdict":"passed"}');
INSERT INTO "journal" VALUES(12,'completed',NULL,1800000500.0,'workflow.merging','{}');
INSERT INTO "journal" VALUES(13,'completed',NULL,1800000600.0,'workflow.completed','{"commit":"c0ffee0000000000000000000000000000000000"}');
INSERT INTO "journal" VALUES(14,'failed',NULL,1800000700.0,'workflow.submitted','{"tasks":2,"request":"make failed"}');
INSERT INTO "journal" VALUES(15,'failed',NULL,1800000700.0,'workflow.started','{}');
INSERT INTO "journal" VALUES(16,'failed','code',1800000700.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-5"}');
INSERT INTO "journal" VALUES(17,'failed','code',1800000800.0,'task.delayed','{"attempt":1,"code":"sandbox_unavailable","message":"the cause is sandbox_unavailable","retry_in_seconds":1.0}');
INSERT INTO "journal" VALUES(18,'failed','code',1800000800.0,'task.dispatched','{"attempt":2,"dispatch_id":"d-6"}');
INSERT INTO "journal" VALUES(19,'failed','code',1800000900.0,'task.retrying','{"attempt":2,"code":"broken","message":"the cause is broken","retry_in_seconds":1.0}');
INSERT INTO "journal" VALUES(20,'failed','code',1800000900.0,'task.dispatched','{"attempt":3,"dispatch_id":"d-7"}');
INSERT INTO "journal" VALUES(21,'failed','code',1800001000.0,'task.failed','{"attempt":3,"code":"broken","message":"the cause is broken"}');
INSERT INTO "journal" VALUES(22,'failed',NULL,1800001000.0,'workflow.failed','{"reason":"code: the cause is broken"}');
INSERT INTO "journal" VALUES(23,'failed',NULL,1800001100.0,'workflow.retried','{"person":"somebody","tasks":2}');
INSERT INTO "journal" VALUES(24,'failed','code',1800001100.0,'task.dispatched','{"attempt":4,"dispatch_id":"d-8"}');
INSERT INTO "journal" VALUES(25,'failed','code',1800001200.0,'task.retrying','{"attempt":4,"code":"broken","message":"the cause is broken","retry_in_seconds":1.0}');
INSERT INTO "journal" VALUES(26,'failed','code',1800001200.0,'task.dispatched','{"attempt":5,"dispatch_id":"d-9"}');
INSERT INTO "journal" VALUES(27,'failed','code',1800001300.0,'task.failed','{"attempt":5,"code":"broken","message":"the cause is broken"}');
INSERT INTO "journal" VALUES(28,'failed',NULL,1800001300.0,'workflow.failed','{"reason":"code: the cause is broken"}');
INSERT INTO "journal" VALUES(29,'failed','code',1800001400.0,'outcome.refused','{"reason":"it is stale","dispatch_id":"d-0","execution_id":"e-d-0"}');
INSERT INTO "journal" VALUES(30,'dead-lettered',NULL,1800001500.0,'workflow.submitted','{"tasks":1,"request":"make dead-lettered"}');
INSERT INTO "journal" VALUES(31,'dead-lettered',NULL,1800001500.0,'workflow.started','{}');
INSERT INTO "journal" VALUES(32,'dead-lettered','code',1800001500.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-10"}');
INSERT INTO "journal" VALUES(33,'dead-lettered','code',1800001600.0,'task.lost','{"attempt":1,"crashes":1,"alone":true,"dead_worker_id":"worker-1"}');
INSERT INTO "journal" VALUES(34,'dead-lettered','code',1800001600.0,'task.dispatched','{"attempt":2,"dispatch_id":"d-11"}');
INSERT INTO "journal" VALUES(35,'dead-lettered','code',1800001700.0,'task.lost','{"attempt":2,"crashes":2,"alone":true,"dead_worker_id":"worker-1"}');
INSERT INTO "journal" VALUES(36,'dead-lettered','code',1800001700.0,'task.dispatched','{"attempt":3,"dispatch_id":"d-12"}');
INSERT INTO "journal" VALUES(37,'dead-lettered','code',1800001800.0,'task.dead_lettered','{"attempt":3,"code":"worker_died","message":"worker worker-1 died while it ran this task"}');
INSERT INTO "journal" VALUES(38,'dead-lettered',NULL,1800001800.0,'workflow.failed','{"reason":"code: worker worker-1 died while it ran this task"}');
INSERT INTO "journal" VALUES(39,'cancelled',NULL,1800001900.0,'workflow.submitted','{"tasks":1,"request":"make cancelled"}');
INSERT INTO "journal" VALUES(40,'cancelled',NULL,1800001900.0,'workflow.started','{}');
INSERT INTO "journal" VALUES(41,'cancelled','code',1800001900.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-13"}');
INSERT INTO "journal" VALUES(42,'cancelled',NULL,1800002000.0,'workflow.cancelled','{"person":"somebody"}');
INSERT INTO "journal" VALUES(43,'completed',NULL,1800002000.0,'command.refused','{"command":"cancel","reason":"workflow is already completed"}');
INSERT INTO "journal" VALUES(44,'waiting',NULL,1800002100.0,'workflow.submitted','{"tasks":2,"request":"make waiting"}');
INSERT INTO "journal" VALUES(45,'waiting',NULL,1800002100.0,'workflow.started','{}');
INSERT INTO "journal" VALUES(46,'waiting','one',1800002200.0,'task.approved','{"person":"somebody","action_hash":"301a0568f3bc47c098b8e6318b47591b2ef5285041217077dd173e16dfac203b"}');
INSERT INTO "journal" VALUES(47,'waiting','one',1800002200.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-14"}');
INSERT INTO "journal" VALUES(48,'waiting','one',1800002300.0,'task.succeeded','{"attempt":1,"commit":"c0ffee0000000000000000000000000000000000","summary":"one is done","dispatch_id":"d-14","worker_id":"worker-1"}');
INSERT INTO "journal" VALUES(49,'running',NULL,1800002400.0,'workflow.submitted','{"tasks":3,"request":"make running"}');
INSERT INTO "journal" VALUES(50,'running',NULL,1800002400.0,'workflow.started','{}');
INSERT INTO "journal" VALUES(51,'running','t0',1800002400.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-15"}');
INSERT INTO "journal" VALUES(52,'running','t1',1800002400.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-16"}');
INSERT INTO "journal" VALUES(53,'running','t2',1800002400.0,'task.dispatched','{"attempt":1,"dispatch_id":"d-17"}');
INSERT INTO "journal" VALUES(54,'running','t0',1800002500.0,'task.succeeded','{"attempt":1,"commit":"c0ffee0000000000000000000000000000000000","summary":"t0 is done","dispatch_id":"d-15","worker_id":"worker-1"}');
CREATE TABLE orchestrators (
	orchestrator_id VARCHAR(200) NOT NULL, 
	host VARCHAR(300) NOT NULL, 
	pid INTEGER NOT NULL, 
	started_at DOUBLE NOT NULL, 
	renewals BIGINT NOT NULL, 
	note TEXT NOT NULL, 
	CONSTRAINT pk_orchestrators PRIMARY KEY (orchestrator_id)
);
INSERT INTO "orchestrators" VALUES('orchestrator-1','here',1,1800000000.0,1,'Redis is away');
CREATE TABLE outbox (
	entry_id VARCHAR(100) NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	workflow_id VARCHAR(100) NOT NULL, 
	task_id VARCHAR(100) NOT NULL, 
	commit_name VARCHAR(40), entries TEXT, 
	CONSTRAINT pk_outbox PRIMARY KEY (entry_id)
);
INSERT INTO "outbox" VALUES('dispatches-d-15','dispatches','running','t0',NULL,'[["d-15","dispatch","running","t0",null],["d-16","dispatch","running","t1",null],["d-17","dispatch","running","t2",null]]');
INSERT INTO "outbox" VALUES('ref-d-15','ref','running','t0','c0ffee0000000000000000000000000000000000',NULL);
CREATE TABLE plans (
	workflow_id VARCHAR(100) NOT NULL, 
	size INTEGER NOT NULL, 
	definitions TEXT NOT NULL, 
	CONSTRAINT pk_plans PRIMARY KEY (workflow_id)
);
INSERT INTO "plans" VALUES('completed',2,'[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]},{"task_id":"test","title":"Make test","agent_role":"tester","dependencies":["code"],"output_artifacts":["test.py"]}]');
INSERT INTO "plans" VALUES('failed',2,'[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"],"max_retries":1},{"task_id":"test","title":"Make test","agent_role":"tester","dependencies":["code"],"output_artifacts":["test.py"]}]');
INSERT INTO "plans" VALUES('dead-lettered',1,'[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]}]');
INSERT INTO "plans" VALUES('cancelled',1,'[{"task_id":"code","title":"Make code","agent_role":"coder","output_artifacts":["code.py"]}]');
INSERT INTO "plans" VALUES('waiting',2,'[{"task_id":"one","title":"Make one","agent_role":"coder","output_artifacts":["one.py"],"requires_approval":true},{"task_id":"two","title":"Make two","agent_role":"coder","output_artifacts":["two.py"],"requires_approval":true}]');
INSERT INTO "plans" VALUES('running',3,'[{"task_id":"t0","title":"Make t0","agent_role":"coder","output_artifacts":["t0.py"]},{"task_id":"t1","title":"Make t1","agent_role":"coder","output_artifacts":["t1.py"]},{"task_id":"t2","title":"Make t2","agent_role":"coder","output_artifacts":["t2.py"]}]');
CREATE TABLE shards (
	shard INTEGER NOT NULL, 
	owner VARCHAR(200), 
	epoch BIGINT NOT NULL, 
	renewals BIGINT NOT NULL, 
	CONSTRAINT pk_shards PRIMARY KEY (shard)
);
INSERT INTO "shards" VALUES(0,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(1,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(2,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(3,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(4,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(5,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(6,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(7,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(8,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(9,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(10,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(11,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(12,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(13,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(14,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(15,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(16,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(17,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(18,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(19,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(20,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(21,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(22,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(23,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(24,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(25,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(26,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(27,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(28,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(29,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(30,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(31,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(32,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(33,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(34,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(35,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(36,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(37,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(38,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(39,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(40,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(41,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(42,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(43,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(44,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(45,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(46,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(47,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(48,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(49,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(50,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(51,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(52,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(53,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(54,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(55,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(56,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(57,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(58,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(59,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(60,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(61,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(62,'orchestrator-1',1,0);
INSERT INTO "shards" VALUES(63,'orchestrator-1',1,0);
CREATE TABLE tasks (
	workflow_id VARCHAR(100) NOT NULL, 
	task_id VARCHAR(100) NOT NULL, 
	position INTEGER NOT NULL, 
	item TEXT NOT NULL, 
	dependencies JSON NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	cycle INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	dispatch_id VARCHAR(100), 
	dispatched_at DOUBLE NOT NULL, 
	not_before DOUBLE NOT NULL, 
	parents JSON NOT NULL, 
	approved_hash VARCHAR(64), 
	commit_name VARCHAR(40), 
	verdict VARCHAR(10), 
	outcome TEXT NOT NULL, outages INTEGER DEFAULT '0' NOT NULL, suspect BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_tasks PRIMARY KEY (workflow_id, task_id)
);
INSERT INTO "tasks" VALUES('completed','code',0,'','[]','succeeded',0,1,0,0,'d-1',1800000100.0,0.0,'[]',NULL,'c0ffee0000000000000000000000000000000000',NULL,'{"summary":"code is done"}',0,0);
INSERT INTO "tasks" VALUES('completed','test',0,'','["code"]','succeeded',0,1,0,0,'d-2',1800000200.0,0.0,'["c0ffee0000000000000000000000000000000000"]',NULL,NULL,'failed','{"summary":"1 failed","tests":{"passed":1,"failed":1,"coverage_percent":null}}',0,0);
INSERT INTO "tasks" VALUES('completed','test.fix1',2,'{"task_id":"test.fix1","title":"Fix what test found (cycle 1)","agent_role":"debugger","dependencies":["test"],"output_artifacts":["code.py"]}','["test"]','succeeded',1,1,0,0,'d-3',1800000300.0,0.0,'["c0ffee0000000000000000000000000000000000"]',NULL,'c0ffee0000000000000000000000000000000000',NULL,'{"summary":"test.fix1 is done","usage":{"model_calls":1,"input_tokens":0,"output_tokens":0,"cost_usd":0.5}}',0,0);
INSERT INTO "tasks" VALUES('completed','test.retest1',3,'{"task_id":"test.retest1","title":"Run the tests of test again (cycle 1)","agent_role":"tester","dependencies":["test.fix1"],"output_artifacts":["test.py"]}','["test.fix1"]','succeeded',1,1,0,0,'d-4',1800000400.0,0.0,'["c0ffee0000000000000000000000000000000000"]',NULL,NULL,'passed','{"summary":"test.retest1 is done","tests":{"passed":2,"failed":0,"coverage_percent":null}}',0,0);
INSERT INTO "tasks" VALUES('failed','code',0,'','[]','failed',0,5,2,0,NULL,1800001200.0,1800001101.0,'[]',NULL,NULL,NULL,'{"summary":"code is done","error":{"code":"broken","message":"the cause is broken","retryable":true}}',0,0);
INSERT INTO "tasks" VALUES('failed','test',0,'','["code"]','blocked',0,0,0,0,NULL,0.0,0.0,'[]',NULL,NULL,NULL,'{}',0,0);
INSERT INTO "tasks" VALUES('dead-lettered','code',0,'','[]','dead_lettered',0,3,0,3,NULL,1800001700.0,1800001600.0,'[]',NULL,NULL,NULL,'{"error":{"code":"worker_died","message":"worker worker-1 died while it ran this task","retryable":true}}',0,1);
INSERT INTO "tasks" VALUES('cancelled','code',0,'','[]','cancelled',0,1,0,0,NULL,1800001900.0,0.0,'[]',NULL,NULL,NULL,'{}',0,0);
INSERT INTO "tasks" VALUES('waiting','one',0,'','[]','succeeded',0,1,0,0,'d-14',1800002200.0,0.0,'[]','301a0568f3bc47c098b8e6318b47591b2ef5285041217077dd173e16dfac203b','c0ffee0000000000000000000000000000000000',NULL,'{"summary":"one is done"}',0,0);
INSERT INTO "tasks" VALUES('running','t0',0,'','[]','succeeded',0,1,0,0,'d-15',1800002400.0,0.0,'[]',NULL,'c0ffee0000000000000000000000000000000000',NULL,'{"summary":"t0 is done"}',0,0);
INSERT INTO "tasks" VALUES('running','t1',0,'','[]','dispatched',0,1,0,0,'d-16',1800002400.0,0.0,'[]',NULL,NULL,NULL,'{}',0,0);
INSERT INTO "tasks" VALUES('running','t2',0,'','[]','dispatched',0,1,0,0,'d-17',1800002400.0,0.0,'[]',NULL,NULL,NULL,'{}',0,0);
CREATE TABLE workers (
	worker_id VARCHAR(100) NOT NULL, 
	host VARCHAR(300) NOT NULL, 
	pid INTEGER NOT NULL, 
	roles JSON NOT NULL, 
	streams JSON NOT NULL, 
	slots INTEGER NOT NULL, 
	joined_at DOUBLE NOT NULL, 
	left_at DOUBLE, 
	left_why VARCHAR(200), 
	CONSTRAINT pk_workers PRIMARY KEY (worker_id)
);
INSERT INTO "workers" VALUES('worker-1','here',2,'["coder"]','["agent.requests.coder"]',1,1800000000.0,NULL,NULL);
CREATE TABLE workflows (
	workflow_id VARCHAR(100) NOT NULL, 
	todo_list_id VARCHAR(100) NOT NULL, 
	request TEXT NOT NULL, 
	shard INTEGER NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	reason TEXT NOT NULL, 
	base_commit VARCHAR(40), 
	result_commit VARCHAR(40), 
	open_tasks INTEGER NOT NULL, 
	created_at DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	CONSTRAINT pk_workflows PRIMARY KEY (workflow_id)
);
INSERT INTO "workflows" VALUES('completed','plan','make completed',46,'completed','',NULL,'c0ffee0000000000000000000000000000000000',0,1800000000.0,1800000500.0);
INSERT INTO "workflows" VALUES('failed','plan','make failed',55,'failed','code: the cause is broken',NULL,NULL,0,1800000600.0,1800001200.0);
INSERT INTO "workflows" VALUES('dead-lettered','plan','make dead-lettered',22,'failed','code: worker worker-1 died while it ran this task',NULL,NULL,0,1800001400.0,1800001700.0);
INSERT INTO "workflows" VALUES('cancelled','plan','make cancelled',7,'cancelled','cancelled by somebody',NULL,NULL,0,1800001800.0,1800001900.0);
INSERT INTO "workflows" VALUES('waiting','plan','make waiting',46,'running','',NULL,NULL,1,1800002000.0,NULL);
INSERT INTO "workflows" VALUES('running','plan','make running',47,'running','',NULL,NULL,2,1800002300.0,NULL);
CREATE INDEX ix_workflows_status_shard ON workflows (status, shard);
CREATE INDEX ix_workflows_created_at ON workflows (created_at);
CREATE INDEX ix_journal_workflow_id_sequence ON journal (workflow_id, sequence);
CREATE INDEX ix_commands_applied_at_created_at ON commands (applied_at, created_at);
CREATE UNIQUE INDEX ix_dead_letters_origin ON dead_letters (origin);
COMMIT;

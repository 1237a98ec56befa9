"""The rights that a deployment needs, and the workflows of GitHub that use them.

What a resource type needs is what CloudFormation's registry says of its handlers; cfn-lint carries the registry.
"""

import fnmatch
import functools
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from ..sam_template import ROOT, TIMELINE
from ..transformed import PSEUDO_PARAMETERS, Resolver, Resources, deployed, of_kind

DEPLOYER = yaml_parse((ROOT / ".github" / "deployer.yaml").read_text())
FRAUD_DETECTION = yaml_parse((ROOT / "examples" / "fraud-detection" / "template.yaml").read_text())
POLICIES = {
    name: it["Properties"]["PolicyDocument"]["Statement"]
    for name, it in DEPLOYER["Resources"].items()
    if it["Type"] == "AWS::IAM::ManagedPolicy"
}
ENVIRONMENTS = set(DEPLOYER["Parameters"]["Environment"]["AllowedValues"]) - {""}
WORKFLOWS = {path.name: path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}

NOT_NEEDED = {
    **dict.fromkeys(("ec2", "elasticfilesystem", "s3files"), "no function is in a VPC or has a file system"),
    **dict.fromkeys(("firehose", "kinesis"), "nothing streams there"),
    "kms": "everything is encrypted with keys that AWS owns",
    **dict.fromkeys(("autoloop", "codewhisperer", "workmail"), "no log of theirs is delivered"),
    "apigateway:UpdateRestApiPolicy": "the API has no resource policy",
    "codedeploy:RegisterOnPremisesInstance": "Lambda only",
    "cognito-idp:AddCustomAttributes": "users have none",
    r"dynamodb:(Batch\w+|Delete|Get|Put|Update)Item|dynamodb:(Query|Scan|ImportTable|DescribeImport)": "no imports",
    r"dynamodb:(Associate|Create)TableReplica|dynamodb:(Put|Delete)ResourcePolicy": "no replicas, no table's policy",
    r"dynamodb:(En|Dis)ableKinesis\w+|dynamodb:UpdateKinesis\w+": "no table streams to Kinesis",
    r"iam:\w+(Group|User)Policy|iam:\w+PermissionsBoundary": "roles only",
    r"lambda:\w*(CodeSigningConfig|RuntimeAlias|CapacityProvider)": "no code signing, no capacity providers",
    r"lambda:(Put|Delete)(Provisioned\w+|FunctionRecursion\w+|FunctionScaling\w+|RuntimeManagement\w+)": "defaults",
    r"logs:(\w+KmsKey|\w+IndexPolicy|\w+DataProtectionPolicy|PutBearerToken\w+|PutLogGroupDeletion\w+)": "not used",
    r"logs:((Put|Delete)DeliveryDestinationPolicy|UpdateDeliveryConfiguration|CreateLogDelivery)": "one account",
    r"logs:(CreateLogStream|DescribeLogStreams|PutLogEvents|DeleteRetentionPolicy)": "of imports into tables; not used",
    "logs:AllowVendedLogDeliveryForResource": "no such action: cfn-lint's W3037",
    "s3:(GetObjectMetadata|REST.PUT.OBJECT)": "of imports; no such actions",
    "sns:PutDataProtectionPolicy": "topics have none",
}
"""What the registry asks for in case of properties that the templates do not use: a service or a pattern; why not."""


@functools.cache
def registry() -> dict[str, set[str]]:
    """By resource type, the actions that CloudFormation's handlers call to create, read, update and delete."""
    spec = importlib.util.find_spec("cfnlint")  # found, not imported: that takes seconds
    assert spec is not None
    schemas = Path(str(spec.origin)).parent / "data" / "schemas"
    names = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    found = {}
    for kind in KINDS:
        handlers = json.loads((schemas / "resources" / f"{names[kind]}.json").read_text())["handlers"]
        asked = (handlers.get(name, {}).get("permissions", []) for name in ("create", "read", "update", "delete"))
        found[kind] = {action for actions in asked for action in actions}
    return found


def stacks(name: str) -> Iterator[tuple[str, Resources]]:
    """What is deployed under the name: the shop, its timeline, and an add-on; by the name of each stack."""
    parameters = {
        "PartnerAccount": "123456789012",
        "NotificationEmail": "a@example.com",
        "AlarmEmail": "a@example.com",
    }
    add_ons = {f"{name}-timeline": TIMELINE, f"{name}-fraud-detection": FRAUD_DETECTION}
    for stage in ("dev", "prod"):
        yield name, deployed(Stage=stage, **parameters, **{"AWS::StackName": name})
        for stack, template in add_ons.items():
            yield stack, deployed(template, Stage=stage, EventBusName=name, **{"AWS::StackName": stack})


KINDS = {resource["Type"] for _, resources in stacks("eventflow") for resource in resources.values()}


def actions(*policies: str) -> set[str]:
    statements = [statement for policy in policies for statement in POLICIES[policy]]
    return {action for statement in statements for action in as_list(statement["Action"])}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resources_of(statement: dict[str, Any]) -> list[str]:
    return [it["Fn::Sub"] if isinstance(it, dict) else it for it in as_list(statement["Resource"])]


def every_resource() -> list[str]:
    return [it for statements in POLICIES.values() for statement in statements for it in resources_of(statement)]


def made(**parameters: str) -> Resources:
    """What CloudFormation makes of the deployer's template."""
    defaults = {name: it.get("Default") for name, it in DEPLOYER["Parameters"].items()}
    return Resolver(DEPLOYER, PSEUDO_PARAMETERS | defaults | parameters).resources()


def rights(**parameters: str) -> list[tuple[str, str]]:
    """Each action and the resource on which it is allowed."""
    policies = of_kind("AWS::IAM::ManagedPolicy", made(**parameters)).values()
    return [
        (action, resource)
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]


def is_not_needed(action: str) -> bool:
    return any(action.partition(":")[0] == it or re.fullmatch(it, action) for it in NOT_NEEDED)


def test_the_registry_knows_every_type_that_the_templates_deploy():
    assert registry().keys() == KINDS
    assert all(registry().values())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_deployer_may_do_what_a_resource_of_each_type_needs(kind):
    missing = {action for action in registry()[kind] if not is_not_needed(action)} - actions(*POLICIES)
    assert missing == set()


def test_nothing_is_left_out_that_no_type_asks_for():
    asked = set().union(*registry().values())
    stale = [
        it
        for it in NOT_NEEDED
        if not any(action.partition(":")[0] == it or re.fullmatch(it, action) for action in asked)
    ]
    assert stale == []


def test_the_deployer_may_do_nothing_that_no_type_needs():
    for_the_sam_cli = {"cloudformation", "s3"}
    asked = set().union(*registry().values()) | {"events:AllowVendedLogDeliveryForResource"}  # of the bus's log
    more = actions(*(POLICIES.keys() - {"SmokePolicy"})) - asked
    assert {action for action in more if action.partition(":")[0] not in for_the_sam_cli} == set()
    assert not any(fnmatch.fnmatch(action, "*[*?]*") for action in actions(*POLICIES))


# On which resources

ARNS = {
    **dict.fromkeys(
        ("AWS::ApiGateway::Deployment", "AWS::ApiGateway::RestApi"), "apigateway:us-east-1::/restapis/drawn"
    ),
    "AWS::ApiGateway::Stage": "apigateway:us-east-1::/restapis/drawn/stages/v1",
    "AWS::CloudWatch::Alarm": "cloudwatch:{here}:alarm:{name}",
    "AWS::CloudWatch::Dashboard": "cloudwatch::123456789012:dashboard/{name}",
    "AWS::CodeDeploy::Application": "codedeploy:{here}:application:{name}",
    "AWS::CodeDeploy::DeploymentGroup": "codedeploy:{here}:deploymentgroup:{stack}-Application-1A2B/{name}",
    "AWS::Cognito::UserPool": "cognito-idp:{here}:userpool/drawn",
    "AWS::Cognito::UserPoolClient": "cognito-idp:{here}:userpool/drawn",
    "AWS::Cognito::UserPoolGroup": "cognito-idp:{here}:userpool/drawn",
    "AWS::DynamoDB::Table": "dynamodb:{here}:table/{name}",
    "AWS::Events::Archive": "events:{here}:archive/{name}",
    "AWS::Events::EventBus": "events:{here}:event-bus/{name}",
    "AWS::Events::EventBusPolicy": "events:{here}:event-bus/{stack}",
    "AWS::Events::Rule": "events:{here}:rule/{name}",
    "AWS::IAM::ManagedPolicy": "iam::123456789012:policy/{name}",
    "AWS::IAM::Policy": "iam::123456789012:role/{stack}-Role-1A2B",
    "AWS::IAM::Role": "iam::123456789012:role/{name}",
    "AWS::Lambda::Alias": "lambda:{here}:function:{stack}-Function-1A2B:live",
    "AWS::Lambda::EventInvokeConfig": "lambda:{here}:function:{stack}-Function-1A2B:live",
    "AWS::Lambda::EventSourceMapping": "lambda:{here}:event-source-mapping:drawn",
    "AWS::Lambda::Function": "lambda:{here}:function:{name}",
    "AWS::Lambda::LayerVersion": "lambda:{here}:layer:{name}:1",
    "AWS::Lambda::Permission": "lambda:{here}:function:{stack}-Function-1A2B:live",
    "AWS::Lambda::Version": "lambda:{here}:function:{stack}-Function-1A2B:1",
    "AWS::Logs::Delivery": "logs:{here}:delivery:drawn",
    "AWS::Logs::DeliveryDestination": "logs:{here}:delivery-destination:{name}",
    "AWS::Logs::DeliverySource": "logs:{here}:delivery-source:{name}",
    "AWS::Logs::LogGroup": "logs:{here}:log-group:{name}",
    "AWS::Logs::QueryDefinition": "logs:{here}:query-definition:drawn",
    "AWS::SNS::Subscription": "sns:{here}:{stack}-Topic-1A2B:drawn",
    "AWS::SNS::Topic": "sns:{here}:{name}",
    "AWS::SQS::Queue": "sqs:{here}:{name}",
    "AWS::SQS::QueuePolicy": "sqs:{here}:{stack}-Queue-1A2B",
    "AWS::StepFunctions::StateMachine": "states:{here}:stateMachine:{name}",
}
"""What a resource of each type is, or belongs to (Service Authorization Reference). Some ids are drawn at random."""


def name_of(logical_id: str, resource: dict[str, Any], stack: str) -> str:
    """As the template gives it, or else as CloudFormation does."""
    properties = resource.get("Properties", {})
    given = {key: it for key, it in properties.items() if key in ("Name", "DashboardName", "LayerName", "LogGroupName")}
    of_stack = "" if resource["Type"] == "AWS::StepFunctions::StateMachine" else f"{stack}-"
    name = next(iter(given.values()), f"{of_stack}{logical_id}-1A2B")
    bus = properties.get("EventBusName", "") if resource["Type"] == "AWS::Events::Rule" else ""
    return f"{bus if isinstance(bus, str) else stack}/{name}" if bus else name


def needed(name: str) -> Iterator[tuple[str, str]]:
    """Each action, and the resource on which it is needed, to deploy what `stacks` has under the name."""
    for stack, resources in stacks(name):
        yield "cloudformation:CreateChangeSet", f"arn:aws:cloudformation:us-east-1:123456789012:stack/{stack}/drawn"
        for logical_id, resource in resources.items():
            kind = resource["Type"]
            values = {"name": name_of(logical_id, resource, stack), "stack": stack, "here": "us-east-1:123456789012"}
            service = ARNS[kind].partition(":")[0]
            on_others = {"lambda:GetLayerVersion"} if kind == "AWS::Lambda::Function" else set()
            more = {"iam:PassRole"} if kind == "AWS::IAM::Role" else set()
            for action in (registry()[kind] - on_others) | more:
                if action.startswith(f"{service}:") and not is_not_needed(action):
                    yield action, "arn:aws:" + ARNS[kind].format(**values)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("eventflow", {"StackPrefix": "eventflow"}),
        ("eventflow-staging", {"StackPrefix": "eventflow"}),
        ("eventflow-dev", {"Environment": "dev"}),
        ("eventflow-staging", {"Environment": "staging"}),
        ("eventflow-prod", {"Environment": "prod"}),
        ("eventflow-preview-12", {"Environment": "preview"}),
        ("shop", {"StackPrefix": "shop"}),
    ],
)
def test_every_resource_of_the_stacks_is_reached(name, parameters):
    given = rights(**parameters)
    asked = set(needed(name))
    assert len(asked) > 500
    assert {
        (action, arn)
        for action, arn in asked
        if not any(action == it and fnmatch.fnmatchcase(arn, pattern) for it, pattern in given)
    } == set()


@pytest.mark.parametrize("environment", sorted(ENVIRONMENTS))
def test_an_environment_reaches_of_what_is_named_after_a_stack_only_its_own(environment):
    its_own = rights(Environment=environment)
    named = [(action, it) for action, it in its_own if "eventflow" in it]
    assert len(named) > 150
    assert all(f"eventflow-{environment}*" in it for _, it in named)
    # and of the rest what anyone reaches who has these rights: what has no stack's name
    of_another = [
        (action, it.replace("shop*", f"eventflow-{environment}*")) for action, it in rights(StackPrefix="shop")
    ]
    assert its_own == of_another
    # with a role as without
    assert rights(Environment=environment, Repository="an/owner") == its_own


def test_without_a_repository_there_are_only_policies_to_attach():
    assert {it["Type"] for it in made(StackPrefix="eventflow").values()} == {"AWS::IAM::ManagedPolicy"}
    outputs = DEPLOYER["Outputs"]
    assert {name for name, it in outputs.items() if "Condition" not in it} == {"PolicyArns"}
    assert outputs["PolicyArns"]["Value"] == {"Fn::Join": [" ", [{"Ref": name} for name in POLICIES]]}


@pytest.mark.parametrize(("provider", "kinds"), [("", {"AWS::IAM::OIDCProvider"}), ("arn:of:the-accounts", set())])
def test_with_a_repository_there_is_a_role_that_has_the_policies(provider, kinds):
    resources = made(Environment="dev", Repository="an/owner", Provider=provider)
    assert {it["Type"] for it in resources.values()} == {"AWS::IAM::ManagedPolicy", "AWS::IAM::Role"} | kinds
    (role,) = of_kind("AWS::IAM::Role", resources).values()
    assert role["ManagedPolicyArns"] == [{"Ref": name} for name in POLICIES]


@pytest.mark.parametrize(
    ("parameters", "taken"),
    [
        ({"StackPrefix": "eventflow"}, True),
        ({"Environment": "staging"}, True),
        ({"Environment": "dev", "Repository": "an/owner"}, True),
        ({}, False),
        ({"StackPrefix": "eventflow", "Environment": "dev"}, False),
        ({"StackPrefix": "eventflow", "Repository": "an/owner"}, False),
        ({"Repository": "an/owner"}, False),
    ],
)
def test_the_names_of_stacks_are_given_in_one_way_and_a_roles_by_its_environment(parameters, taken):
    defaults = {name: it.get("Default") for name, it in DEPLOYER["Parameters"].items()}
    rules = [Resolver(DEPLOYER, defaults | parameters).resolved(it) for it in DEPLOYER["Rules"].values()]
    asserted = [it["Assert"] for rule in rules if rule.get("RuleCondition", True) for it in rule["Assertions"]]
    assert all(asserted) == taken


@pytest.mark.parametrize(
    ("prefix", "taken"),
    [
        *[(name, True) for name in ("eventflow", "eventflow-", "shop", "Acme-2")],
        *[
            (name, False)
            for name in ("", "*", "event*", "event?", "a", "d", "de", "dep", "deploys", "deploys-eventflow")
        ],
    ],
)
def test_a_prefix_is_no_pattern_and_reaches_no_deployer(prefix, taken):
    assert bool(re.fullmatch(DEPLOYER["Parameters"]["StackPrefix"]["AllowedPattern"], prefix)) == taken


def test_the_policies_are_within_the_quotas_of_iam():
    """6,144 characters a managed policy, 2,048 a trust policy, white space not counted; ten on a role, user or group
    (IAM User Guide, "IAM quotas")."""
    longest = "x" * DEPLOYER["Parameters"]["StackPrefix"]["MaxLength"]
    names = {"StackPrefix": longest, "Environment": "staging", "Repository": "/".join(["x" * 100] * 2)}
    resources = made(**names, Provider=f"arn:{'x' * 100}", **{"AWS::Partition": "aws-us-gov"})
    policies = of_kind("AWS::IAM::ManagedPolicy", resources)
    assert policies.keys() == POLICIES.keys()
    assert len(policies) <= 10
    for name, policy in policies.items():
        assert len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"]))) < 6144, name
    trust = resources["Role"]["Properties"]["AssumeRolePolicyDocument"]
    assert len(re.sub(r"\s", "", json.dumps(trust))) < 2048


def test_cloudformation_can_read_it_as_it_stands():
    # it takes no aliases (CloudFormation User Guide, "Template formats"); `sam build` writes out those of the others
    assert not re.search(r"(: |- )[&*]\w", (ROOT / ".github" / "deployer.yaml").read_text())


def test_the_role_trusts_one_environment_of_one_repository_and_nothing_else():
    (statement,) = DEPLOYER["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Fn::Sub": "repo:${Repository}:environment:${Environment}"},
        }
    }


def test_the_role_may_not_change_itself():
    role = DEPLOYER["Resources"]["Role"]["Properties"]["RoleName"]["Fn::Sub"]
    on_roles = [it for it in every_resource() if ":role/" in it and "aws-service-role" not in it]
    assert on_roles
    assert all(it.endswith(":role/${StackPrefix}${Environment}*") for it in on_roles)
    # which no prefix reaches (see above), nor the policies, whose names begin with their stack's
    assert role.startswith("deploys-")
    assert not any(
        "ManagedPolicyName" in it for it in of_kind("AWS::IAM::ManagedPolicy", DEPLOYER["Resources"]).values()
    )


def test_a_mapping_whose_name_is_drawn_at_random_may_be_tagged_as_the_stack_is():
    # Lambda Developer Guide, "Using tags on event source mappings"
    arn = "arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:event-source-mapping:*"
    taggers = [it for it in POLICIES["CodePolicy"] if "lambda:TagResource" in it["Action"]]
    assert any(fnmatch.fnmatch(arn, pattern) for it in taggers for pattern in resources_of(it))


def test_state_machines_are_known_by_the_names_that_cloudformation_gives_them():
    # a logical id and something random, without the stack's name
    named = {it["Properties"].get("Name") for it in TIMELINE["Resources"].values() if "StateMachine" in it["Type"]}
    assert named == {None}
    ids = {name for name, it in TIMELINE["Resources"].items() if it["Type"] == "AWS::Serverless::StateMachine"}
    assert {it.rpartition(":")[2] for it in every_resource() if ":states:" in it} == {f"{name}-*" for name in ids}


# The workflows


def test_the_environments_of_the_workflows_are_those_that_a_role_can_be_made_for():
    named = set(re.findall(r"^ +environment: (\w+)$", "\n".join(WORKFLOWS.values()), re.MULTILINE))
    assert named == set(re.findall(r"eventflow-(\w+)", "".join(WORKFLOWS.values()))) == {"dev", "prod", "preview"}
    stages = re.findall(r'"Stage=(\w+)', (ROOT / "samconfig.toml").read_text())
    assert named | set(stages) == ENVIRONMENTS


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_runs_nothing_of_a_fork_with_rights(name):
    workflow = WORKFLOWS[name]
    assert not re.search(r"^ *(pull_request_target|workflow_run)\b", workflow, re.MULTILINE)
    assert yaml.safe_load(workflow)["permissions"] == {}, "each job asks for what it needs"
    for used in re.findall(r"uses: (\S+)", workflow):
        assert used.startswith("./") or re.search(r"@[0-9a-f]{40}$", used), f"{used} can change under our feet"


def test_a_pull_request_of_a_fork_gets_no_stack():
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert all(own in job["if"] for job in yaml.safe_load(WORKFLOWS["preview.yml"])["jobs"].values())


def test_prod_comes_after_dev_which_comes_after_the_checks():
    jobs = yaml.safe_load(WORKFLOWS["deploy.yml"])["jobs"]
    assert [(name, job.get("needs")) for name, job in jobs.items()] == [
        ("check", None),
        ("dev", "check"),
        ("prod", "dev"),
    ]
    stage = WORKFLOWS["stage.yml"]
    assert stage.index("sam deploy") < stage.index("make smoke")


@pytest.mark.parametrize("status", ["", "UPDATE_COMPLETE", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_cannot_be_updated_is_deleted_before_the_next_deployment_but_not_in_prod(status):
    steps = yaml.safe_load(WORKFLOWS["stage.yml"])["jobs"]["deploy"]["steps"]
    (step,) = (it for it in steps if "sam delete" in it.get("run", ""))
    assert step["if"] == "inputs.stage != 'prod'"
    assert steps.index(step) < next(n for n, it in enumerate(steps) if "sam deploy" in it.get("run", ""))
    stubs = f'aws() {{ echo "{status}"; }}; sam() {{ echo "$@"; }}; STACK_NAME=shop\n'
    said = subprocess.run(["bash", "-ec", stubs + step["run"]], capture_output=True, text=True, check=True).stdout
    deleted = [f"delete --no-prompts --stack-name {name}" for name in ("shop-timeline", "shop")]
    assert said.splitlines() == (deleted if status.endswith(("FAILED", "ROLLBACK_COMPLETE")) else [])


def test_ci_runs_what_a_change_must_pass_on_each_python_that_the_project_takes():
    ci = yaml.safe_load(WORKFLOWS["ci.yml"])["jobs"]["linux"]
    assert ci["steps"][-1] == {"run": ".ci/run"}
    takes = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    ((least, below),) = takes
    assert ci["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(least), int(below))]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_that_never_ran_says_so(name):
    assert re.search(r"[Nn]ever run", WORKFLOWS[name].partition("name:")[0])

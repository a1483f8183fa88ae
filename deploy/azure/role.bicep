// The smallest role of azure-vmss-exporter for one subscription, and its assignment.
targetScope = 'subscription'

@description('The object id of the identity that the exporter has.')
param principalId string

var actions = [
  'Microsoft.Compute/virtualMachineScaleSets/read'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'
  'Microsoft.Compute/virtualMachines/read'
  'Microsoft.Compute/virtualMachineScaleSets/instanceView/read'
  'Microsoft.Compute/virtualMachineScaleSets/lifecycleHookEvents/read'
  'Microsoft.Compute/virtualMachineScaleSets/rollingUpgrades/read'
  'Microsoft.Insights/autoscaleSettings/read'
  'Microsoft.ResourceGraph/resources/read'
  'Microsoft.Resources/subscriptions/read'
  'Microsoft.Resources/subscriptions/resourceGroups/read'
  'Microsoft.StandbyPool/standbyVirtualMachinePools/read'
  'Microsoft.StandbyPool/standbyVirtualMachinePools/runtimeViews/read'
]

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'azure-vmss-exporter')
  properties: {
    roleName: 'VMSS exporter (${subscription().subscriptionId})'
    description: 'Reads what azure-vmss-exporter shows of virtual machine scale sets.'
    type: 'CustomRole'
    permissions: [
      {
        actions: actions
        notActions: []
      }
    ]
    assignableScopes: [
      subscription().id
    ]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, role.id)
  properties: {
    principalId: principalId
    roleDefinitionId: role.id
    principalType: 'ServicePrincipal'
  }
}
